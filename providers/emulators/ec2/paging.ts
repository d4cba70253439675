/**
 * Pages as EC2 gives them: `MaxResults` and an opaque `NextToken`.
 *
 * A token holds the key of the last item of its page, so that items which come or go between
 * two pages neither repeat nor hide others.
 */
import { Ec2Error } from "./ec2-error.ts";
import { wholeNumber, type QueryParams } from "./query.ts";

/** One page of a listing. */
export interface Page<T> {
  readonly items: readonly T[];
  /** Absent on the last page. */
  readonly nextToken?: string;
}

/** Source of the range: EC2 API reference, DescribeInstances (read 2026-11). */
const PAGE_SIZE = { min: 5, max: 1000 };

/**
 * The page that `params` asks for; without `MaxResults` everything is one page.
 *
 * @param keyOf a whole number that ascends along `items`.
 * @throws Ec2Error `InvalidNextToken`, `InvalidParameterValue`.
 */
export function pageOf<T>(
  items: readonly T[],
  params: QueryParams,
  keyOf: (item: T) => number,
): Page<T> {
  const size = wholeNumber(params, "MaxResults", PAGE_SIZE) ?? items.length;
  const after = keyOfToken(params.get("NextToken"));
  const rest = items.filter((item) => keyOf(item) > after);
  const page = rest.slice(0, size);
  const last = page.at(-1);
  if (last === undefined || rest.length <= page.length) return { items: page };
  return { items: page, nextToken: Buffer.from(`after:${keyOf(last)}`).toString("base64url") };
}

function keyOfToken(token: string | undefined): number {
  if (token === undefined || token === "") return -1;
  const key = /^after:(\d+)$/.exec(Buffer.from(token, "base64url").toString())?.[1];
  if (key !== undefined) return Number(key);
  throw new Ec2Error("InvalidNextToken", "The specified NextToken is not valid.");
}
