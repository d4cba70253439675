import fc from "fast-check";
import { expect, test } from "vitest";
import { isAfter, parseStreamId } from "./stream-id.ts";

const part = fc.bigInt({ min: 0n, max: 9_999_999_999_999_999_999n });

test("ids are ordered as two numbers", () => {
  fc.assert(
    fc.property(part, part, part, part, (ms, sequence, otherMs, otherSequence) => {
      const expected = ms === otherMs ? sequence > otherSequence : ms > otherMs;
      expect(isAfter(`${ms}-${sequence}`, `${otherMs}-${otherSequence}`)).toBe(expected);
    }),
  );
});

test("an id without a sequence means the first of its millisecond", () => {
  expect(parseStreamId("0")).toBe("0-0");
  expect(parseStreamId("17-3")).toBe("17-3");
  expect(parseStreamId("x")).toBeUndefined();
});
