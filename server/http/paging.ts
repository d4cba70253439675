/** Lists, a page at a time. */
import { z } from "zod";
import { PlatformError } from "../../core/index.ts";

const ITEMS_MAX = 1_000;
const ITEMS_USUAL = 100;
const CURSOR_CHARACTERS_MAX = 1_024;
const CURSOR = /^[A-Za-z0-9_-]+$/;

/** What a query says of pages. */
export const pageQuery = {
  cursor: z
    .string()
    .max(CURSOR_CHARACTERS_MAX)
    .regex(CURSOR, { error: "must be the nextCursor of an earlier page" })
    .exactOptional()
    .meta({ description: "`nextCursor` of the page before; the first page without it." }),
  limit: z.coerce.number().int().min(1).max(ITEMS_MAX).default(ITEMS_USUAL),
};

/** The part of every list that tells where it goes on. */
export const nextCursorSchema = z
  .string()
  .exactOptional()
  .meta({ description: "Absent on the last page." });

export interface PageQuery {
  readonly cursor?: string;
  readonly limit: number;
}

/** A page, and where the next one begins. */
export interface Page<Item> {
  readonly items: readonly Item[];
  /** Spread into the answer; empty on the last page. */
  readonly next: { readonly nextCursor?: string };
}

/**
 * A page of a list in the order of its keys. What is added or removed between two pages neither
 * repeats an item nor leaves one out that was there all the time.
 *
 * @param keyOf Tells items apart, and orders them by code units.
 * @throws PlatformError `invalid_request` for a cursor that no page gave.
 */
export function pageOf<Item>(
  items: readonly Item[],
  keyOf: (item: Item) => string,
  { cursor, limit }: PageQuery,
): Page<Item> {
  const after = cursor === undefined ? undefined : keyOfCursor(cursor);
  const left = items
    .map((item) => ({ item, key: keyOf(item) }))
    .filter(({ key }) => after === undefined || key > after)
    .sort((one, other) => (one.key < other.key ? -1 : 1));
  const page = left.slice(0, limit);
  const last = page.at(-1);
  return {
    items: page.map(({ item }) => item),
    next:
      last === undefined || page.length === left.length ? {} : { nextCursor: cursorOf(last.key) },
  };
}

/** A key that puts later times first. @param timeMs Whole, >= 0. */
export function newestFirst(timeMs: number): string {
  return String(Number.MAX_SAFE_INTEGER - timeMs).padStart(16, "0");
}

function cursorOf(key: string): string {
  return Buffer.from(key, "utf8").toString("base64url");
}

function keyOfCursor(cursor: string): string {
  const key = Buffer.from(cursor, "base64url").toString("utf8");
  if (cursorOf(key) === cursor) return key;
  throw new PlatformError("query: cursor must be the nextCursor of an earlier page", {
    code: "invalid_request",
    retryable: false,
  });
}
