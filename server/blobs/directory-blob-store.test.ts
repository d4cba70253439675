import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { blobFileIn } from "../../sandbox/index.ts";
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

test("what is a file of its folder is said of that folder alone, and of bytes that are whole", async () => {
  const damaged: string[] = [];
  const sha256 = await openDirectoryBlobStore(dir).put(Buffer.from("one"));
  // Another process has not seen the bytes and looks at them first.
  const blobs = openDirectoryBlobStore(dir, (name) => damaged.push(name));
  expect(await blobs.isIn?.(`${dir}/`, sha256)).toBe(false);
  expect(await blobs.isIn?.("", sha256)).toBe(false);
  expect(await blobs.isIn?.(dir, sha256)).toBe(true);
  expect(await blobs.isIn?.(dir, "0".repeat(64))).toBe(false);
  expect(await blobs.isIn?.(dir, "../x")).toBe(false);
  await rm(blobFileIn(dir, sha256));
  expect(await blobs.isIn?.(dir, sha256)).toBe(false);
  const other = await openDirectoryBlobStore(dir).put(Buffer.from("other"));
  await writeFile(blobFileIn(dir, other), "0ther");
  expect(await blobs.isIn?.(dir, other)).toBe(false);
  expect(damaged).toEqual([other]);
  expect(await blobs.has(other)).toBe(false);
});

test("bytes are read into memory that the reader has, if it has some for them", async () => {
  const blobs = openDirectoryBlobStore(dir);
  const sha256 = await blobs.put(Buffer.from("one"));
  const memory = new Uint8Array(3);
  expect(await blobs.get(sha256, () => memory)).toEqual(Uint8Array.from(Buffer.from("one")));
  expect(Buffer.from(memory).toString()).toBe("one");
  expect(await blobs.get(sha256, () => undefined)).toEqual(Buffer.from("one"));
});

test("a blob is stored although its folder is gone, and one that cannot be leaves nothing", async () => {
  const blobs = openDirectoryBlobStore(dir);
  const sha256 = await blobs.put(Buffer.from("one"));
  await rm(join(dir, sha256.slice(0, 2)), { recursive: true });
  expect(await blobs.put(Buffer.from("one"))).toBe(sha256);
  expect(await blobs.get(sha256)).toEqual(Buffer.from("one"));
  await rm(dir, { recursive: true });
  await writeFile(dir, "no folder");
  await expect(blobs.put(Buffer.from("two"))).rejects.toMatchObject({ code: "unavailable" });
  expect(await readFile(dir, "utf8")).toBe("no folder");
});
