import fc from "fast-check";
import { expect, test } from "vitest";
import { chunkIdsOf, manifestOf, readManifest, type SnapshotRecord } from "./manifest.ts";

const ID = "ab".repeat(32);
const OTHER = "cd".repeat(32);
const RECORD: SnapshotRecord = {
  key: ID,
  snapshotId: OTHER,
  madeAtMs: 7,
  files: [
    { name: "checkpoint.img", byteCount: 65_537, chunkIds: [ID, OTHER] },
    { name: "empty", byteCount: 0, chunkIds: [] },
  ],
};
const changed = (change: object): Uint8Array =>
  Buffer.from(JSON.stringify({ ...RECORD, ...change }));
const withFile = (change: object): Uint8Array =>
  changed({ files: [{ ...RECORD.files[0], ...change }] });

test("what was written is read", () => {
  expect(readManifest(manifestOf(RECORD))).toEqual(RECORD);
  expect(chunkIdsOf({ ...RECORD, files: [...RECORD.files, ...RECORD.files] })).toEqual([ID, OTHER]);
});

test.each<[string, Uint8Array]>([
  ["nothing", Buffer.of()],
  ["no JSON", Buffer.from("{")],
  ["a list", Buffer.from("[]")],
  ["a key that is a path", changed({ key: "../../etc/passwd" })],
  ["no time", changed({ madeAtMs: "yesterday" })],
  ["no files", changed({ files: [] })],
  ["too many files", changed({ files: Array.from({ length: 17 }, () => RECORD.files[1]) })],
  ["two files of one name", changed({ files: [RECORD.files[1], RECORD.files[1]] })],
  ["a file outside the folder", withFile({ name: "../evil.img" })],
  ["an absolute file", withFile({ name: "/etc/shadow" })],
  ["a hidden name", withFile({ name: ".." })],
  ["a chunk that is a path", withFile({ chunkIds: [ID, "../../../etc"] })],
  ["fewer chunks than bytes", withFile({ chunkIds: [ID] })],
  ["a negative size", withFile({ byteCount: -1, chunkIds: [] })],
  ["a size beyond counting", withFile({ byteCount: 1e300 })],
])("what has %s is none", (_, bytes) => {
  expect(readManifest(bytes)).toBeUndefined();
});

test("whatever the bytes are, the answer is a record or nothing", () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      const read = readManifest(Buffer.from(text));
      if (read !== undefined) expect(readManifest(manifestOf(read))).toEqual(read);
    }),
  );
});
