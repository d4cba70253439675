import fc from "fast-check";
import { expect, test } from "vitest";
import { LineSplitter } from "./line-splitter.ts";

function split(chunks: readonly Uint8Array[], charactersMax = 1_000): readonly string[] {
  const splitter = new LineSplitter(charactersMax);
  const lines = chunks.flatMap((chunk) => splitter.push(chunk));
  const last = splitter.end();
  return last === undefined ? lines : [...lines, last];
}

test("lines are the same wherever the bytes are cut, also within a character", () => {
  const text = fc
    .array(fc.constantFrom("a", "ü", "€", "🚢", "\n", " "))
    .map((parts) => parts.join(""));
  fc.assert(
    fc.property(text, fc.array(fc.nat(64)), (whole, cuts) => {
      const bytes = Buffer.from(whole);
      const ends = [
        ...cuts.filter((cut) => cut < bytes.length).sort((a, b) => a - b),
        bytes.length,
      ];
      const chunks = ends.map((end, at) => bytes.subarray(ends[at - 1] ?? 0, end));
      const expected = whole.split("\n");
      if (expected.at(-1) === "") expected.pop();
      expect(split(chunks)).toEqual(expected);
    }),
  );
});

test("a line is cut at its limit, in one piece or many, and the next one is whole", () => {
  const long = "x".repeat(25);
  expect(split([Buffer.from(`${long}\nshort`)], 10)).toEqual(["x".repeat(10), "short"]);
  const pieces = Array.from(long, (letter) => Buffer.from(letter));
  expect(split([...pieces, Buffer.from("\nshort\n")], 10)).toEqual(["x".repeat(10), "short"]);
});

test("a carriage return before the end of a line belongs to the end", () => {
  expect(split([Buffer.from("a\r"), Buffer.from("\nb\rc\r\n")])).toEqual(["a", "b\rc"]);
});
