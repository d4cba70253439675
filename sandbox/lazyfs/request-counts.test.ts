import { expect, test } from "vitest";
import { OPCODE } from "./fuse-protocol.ts";
import { RequestCounts } from "./request-counts.ts";

test("requests are counted by kind for all threads, and those of no kind together", () => {
  const counts = new RequestCounts();
  const other = new RequestCounts(counts.words);
  expect(counts.figures()).toEqual({});
  for (const opcode of [OPCODE.lookup, OPCODE.read, OPCODE.lookup]) counts.add(opcode);
  for (const opcode of [OPCODE.read, 14, 27, 0xffff_ffff]) other.add(opcode);
  expect(counts.figures()).toEqual({ lookup: 2, read: 2, other: 3 });
  expect(other.figures()).toEqual(counts.figures());
});
