import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openDirectoryBlobStore } from "./directory-blob-store.ts";

let dir: string;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "flotilla-blobs-"));
});
afterEach(() => rm(dir, { recursive: true }));

test("a blob is removed with what a crash left of storing it, and no other is", async () => {
  const blobs = openDirectoryBlobStore(dir);
  const [one, other] = [await blobs.put(Buffer.from("one")), await blobs.put(Buffer.from("other"))];
  await writeFile(join(dir, one.slice(0, 2), `${one}.half-written`), "on");
  await blobs.remove(one);
  await blobs.remove(one);
  expect(await blobs.has(one)).toBe(false);
  expect(await blobs.get(one)).toBeUndefined();
  expect(await readdir(join(dir, one.slice(0, 2)))).toEqual([]);
  expect(await blobs.get(other)).toEqual(Buffer.from("other"));
  expect(await blobs.put(Buffer.from("one"))).toBe(one);
  expect(await blobs.get(one)).toEqual(Buffer.from("one"));
});

test("what is no hash, or was never stored, is removed without a word, and nothing else", async () => {
  const blobs = openDirectoryBlobStore(dir);
  const kept = await blobs.put(Buffer.from("kept"));
  for (const name of ["", kept.slice(0, 2), kept.slice(0, 63), "../x", "0".repeat(64)]) {
    await blobs.remove(name);
  }
  expect(await blobs.has(kept)).toBe(true);
});
