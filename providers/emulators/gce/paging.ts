/**
 * Pages as Compute Engine gives them: `maxResults` and an opaque `pageToken`.
 *
 * A token holds the key of the last item of its page, so that items which come or go between
 * two pages neither repeat nor hide others.
 */
import { GceError, invalidField } from "./gce-error.ts";

/** One page of a listing. */
export interface Page<T> {
  readonly items: readonly T[];
  /** Absent on the last page. */
  readonly nextPageToken?: string;
}

/** Source: Compute Engine API reference, `maxResults` (0 to 500, 500 when absent; read 2026-11). */
const PAGE_SIZE_MAX = 500;

/** The page that `params` asks for. `sequence` must ascend along `items`. */
export function pageOf<T extends { readonly sequence: number }>(
  items: readonly T[],
  params: ReadonlyMap<string, string>,
): Page<T> {
  const asked = params.get("maxResults") ?? String(PAGE_SIZE_MAX);
  if (!/^\d+$/.test(asked) || Number(asked) > PAGE_SIZE_MAX) {
    throw invalidField("maxResults", asked, `Must be from 0 to ${PAGE_SIZE_MAX}.`);
  }
  const after = sequenceOf(params.get("pageToken") ?? "");
  const rest = items.filter(({ sequence }) => sequence > after);
  const page = rest.slice(0, Number(asked) || PAGE_SIZE_MAX);
  const last = page.at(-1);
  if (last === undefined || page.length === rest.length) return { items: page };
  const token = Buffer.from(`sequence ${last.sequence}`).toString("base64url");
  return { items: page, nextPageToken: token };
}

function sequenceOf(token: string): number {
  if (token === "") return -1;
  const [, digits] = /^sequence (\d+)$/.exec(Buffer.from(token, "base64url").toString()) ?? [];
  if (digits !== undefined) return Number(digits);
  throw new GceError(400, "invalid", "Invalid value for field 'pageToken'.");
}
