import fc from "fast-check";
import { expect, test } from "vitest";
import { GPU_TYPES } from "../core/index.ts";
import { nearestWord } from "./nearest-word.ts";

test.each([
  ["H10O", "H100"],
  ["h100", "H100"],
  ["A100-80", "A100-80GB"],
  ["RTX-PRO6000", "RTX-PRO-6000"],
  ["L40", "L4"],
  ["quantum", undefined],
  ["", undefined],
])("%j is near to %j", (wrong, near) => {
  expect(nearestWord(wrong, GPU_TYPES)).toBe(near);
});

test("one edit never loses the word when the words are far apart", () => {
  const words = ["alpha-one", "bravo-two", "charlie-three"];
  fc.assert(
    fc.property(
      fc.constantFrom(...words),
      fc.nat({ max: 8 }),
      fc.constantFrom("", "x", "9"),
      (word, at, put) => {
        expect(nearestWord(word.slice(0, at) + put + word.slice(at + 1), words)).toBe(word);
      },
    ),
  );
});
