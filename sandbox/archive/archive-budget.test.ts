import { expect, test } from "vitest";
import { ArchiveBudget, RATIO_FREE_BYTES } from "./archive-budget.ts";

const tooLarge = (what: RegExp) =>
  expect.objectContaining({
    code: "payload_too_large",
    message: expect.stringMatching(what) as string,
  }) as Error;

test("one entry too many, of whatever type, is refused", () => {
  const budget = new ArchiveBudget({ entriesMax: 2 });
  budget.addEntry();
  budget.addEntry();
  expect(() => budget.addEntry()).toThrow(tooLarge(/more than 2 entries/));
});

test("a file and all files together have limits of their own", () => {
  const budget = new ArchiveBudget({ fileBytesMax: 10, totalBytesMax: 15 });
  budget.addBytes(10, 10);
  expect(() => budget.addBytes(1, 11)).toThrow(tooLarge(/a file of more than 10 bytes/));
  const other = new ArchiveBudget({ fileBytesMax: 10, totalBytesMax: 15 });
  other.addBytes(10, 10);
  expect(() => other.addBytes(6, 6)).toThrow(tooLarge(/more than 15 bytes/));
});

test("what grows without reason is a bomb, however its bytes are split into files", () => {
  let packed = 1_000;
  const budget = new ArchiveBudget({ expansionMax: 100 }, () => packed);
  budget.addBytes(RATIO_FREE_BYTES, RATIO_FREE_BYTES);
  expect(() => budget.addBytes(1, 1)).toThrow(tooLarge(/more than 100 bytes for each/));
  packed = RATIO_FREE_BYTES;
  budget.addBytes(1, 1);
});
