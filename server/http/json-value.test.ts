import fc from "fast-check";
import { expect, test } from "vitest";
import { isJsonValue } from "./json-value.ts";

test("whatever JSON can say is a JSON value, and survives the round trip", () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
      expect(isJsonValue(value)).toBe(true);
      expect(JSON.parse(JSON.stringify(value))).toEqual(JSON.parse(JSON.stringify(value)));
    }),
  );
});

const cycle: unknown[] = [];
cycle.push(cycle);

test.each([
  undefined,
  NaN,
  Infinity,
  1n,
  Symbol("s"),
  () => 1,
  new Date(0),
  new Map(),
  new Uint8Array(1),
  { a: [undefined] },
  cycle,
])("%o is none", (value) => {
  expect(isJsonValue(value)).toBe(false);
});
