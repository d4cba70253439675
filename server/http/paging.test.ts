import fc from "fast-check";
import { expect, test } from "vitest";
import { newestFirst, pageOf } from "./paging.ts";

const keyOf = (item: string): string => item;

/** Every item of a list, page by page; `change` may alter the list between two pages. */
function walk(
  items: readonly string[],
  limit: number,
  change: (items: readonly string[]) => readonly string[] = keyed,
): readonly string[] {
  const seen: string[] = [];
  let now = items;
  let cursor: string | undefined;
  do {
    const page = pageOf(now, keyOf, { limit, ...(cursor === undefined ? {} : { cursor }) });
    seen.push(...page.items);
    cursor = page.next.nextCursor;
    now = change(now);
  } while (cursor !== undefined);
  return seen;
}

function keyed(items: readonly string[]): readonly string[] {
  return items;
}

const names = fc.uniqueArray(fc.string({ maxLength: 6, unit: "grapheme" }), { maxLength: 40 });

test("pages of any size hold every item once, in the order of the keys", () => {
  fc.assert(
    fc.property(names, fc.integer({ min: 1, max: 12 }), (items, limit) => {
      const wellFormed = [...new Set(items.map((item) => item.toWellFormed()))];
      const ordered = [...wellFormed].sort((one, other) => (one < other ? -1 : 1));
      expect(walk(wellFormed, limit)).toEqual(ordered);
    }),
  );
});

test("what stays is seen once, whatever is added and removed between pages", () => {
  const stays = ["b", "d", "f", "h"];
  let round = 0;
  const seen = walk(["a", ...stays], 2, (items) => {
    round += 1;
    return [...items.filter((item) => stays.includes(item)), round % 2 === 0 ? "a" : "g"];
  });
  expect(seen.filter((item) => stays.includes(item))).toEqual(stays);
  expect(new Set(seen).size).toBe(seen.length);
});

test("the last page names no next one, also when it is full", () => {
  expect(pageOf(["a", "b"], keyOf, { limit: 2 })).toEqual({ items: ["a", "b"], next: {} });
  expect(pageOf([], keyOf, { limit: 2 })).toEqual({ items: [], next: {} });
});

test("a cursor that no page gave is refused", () => {
  for (const cursor of ["a", "AB", "____", "zzz"]) {
    expect(() => pageOf(["a"], keyOf, { limit: 1, cursor })).toThrow(/cursor/);
  }
});

test("later times come first", () => {
  const times = [0, 9, 10, 1_800_000_000_000, 1_800_000_000_001];
  const ordered = [...times].sort((one, other) => (newestFirst(one) < newestFirst(other) ? -1 : 1));
  expect(ordered).toEqual([...times].reverse());
});
