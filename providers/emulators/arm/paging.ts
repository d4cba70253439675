/**
 * Pages as Azure gives them: a `nextLink` that is followed as it is.
 *
 * The link holds the place of the last item of its page, so that items which come or go between
 * two pages neither repeat nor hide others.
 */
import { ArmError } from "./arm-error.ts";
import type { ArmAnswer, ArmCall } from "./call.ts";
import type { JsonObject } from "./machine.ts";

interface Placed {
  readonly sequence: number;
}

/** The page of a list that a call asks for; `items` ascend by `sequence`. */
export function pageAnswer<T extends Placed>(
  items: readonly T[],
  call: ArmCall,
  page: { readonly size: number; readonly show: (item: T) => JsonObject },
): ArmAnswer {
  const after = placeOf(call.query.get("$skiptoken"));
  const rest = items.filter(({ sequence }) => sequence > after);
  const shown = rest.slice(0, page.size);
  const last = shown.at(-1);
  const value = shown.map(page.show);
  if (last === undefined || rest.length <= shown.length) return { status: 200, body: { value } };
  const url = new URL(call.url, call.origin);
  url.searchParams.set("$skiptoken", Buffer.from(`after:${last.sequence}`).toString("base64url"));
  return { status: 200, body: { value, nextLink: url.href } };
}

function placeOf(token: string | null): number {
  if (token === null) return -1;
  const place = /^after:(\d+)$/.exec(Buffer.from(token, "base64url").toString())?.[1];
  if (place !== undefined) return Number(place);
  throw new ArmError(400, "InvalidParameter", "The provided $skiptoken is not valid.");
}
