import { createHmac, randomBytes } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { deflateRawSync } from "node:zlib";
import { afterEach, beforeEach, expect, test } from "vitest";
import { storedDeflate } from "./gvisor-state-file.ts";
import { makePlain } from "./plain-image.ts";

const CHUNK_BYTES = 1_048_576;

let dir: string;
let path: string;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "flotilla-plain-"));
  path = join(dir, "checkpoint.img");
});

afterEach(async () => {
  await rm(dir, { recursive: true });
});

/** A file as release 20221219 writes it, with chunks that are packed in this way. */
function stateFile(chunks: readonly Uint8Array[], pack: (bytes: Uint8Array) => Buffer): Buffer {
  const head = Buffer.from("gVisorSF\0\0\0\0\0\0\0\u0002{}", "latin1");
  const size = Buffer.alloc(4);
  size.writeUInt32BE(CHUNK_BYTES);
  const framed = chunks.flatMap((bytes) => {
    const packed = pack(bytes);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(packed.byteLength);
    return [length, packed];
  });
  const hmac = createHmac("sha256", "").update(head).digest();
  return Buffer.concat([head, hmac, size, ...framed]);
}

test("the file of an image is replaced by one that is stored plainly, and nothing is left", async () => {
  const chunks = [Buffer.alloc(CHUNK_BYTES, "memory"), randomBytes(CHUNK_BYTES), Buffer.alloc(9)];
  await writeFile(
    path,
    stateFile(chunks, (bytes) => deflateRawSync(bytes, { level: 1 })),
  );
  await writeFile(join(dir, "other.img"), "of the same image");
  expect(await makePlain(dir)).toEqual({});
  const plain = stateFile(chunks, storedDeflate);
  expect(Buffer.compare(await readFile(path), plain)).toBe(0);
  expect(await readdir(dir)).toEqual(["checkpoint.img", "other.img"]);
});

test("an image that is not understood stays as it is, and nothing is left", async () => {
  const good = stateFile([Buffer.alloc(CHUNK_BYTES), Buffer.alloc(9)], (bytes) =>
    deflateRawSync(bytes),
  );
  const bad = good.subarray(0, -1);
  await writeFile(path, bad);
  const { slowBecause } = await makePlain(dir);
  expect(slowBecause).toContain(`${path} stays as gVisor wrote it`);
  expect(slowBecause).toMatch(/chunk 1 is cut off: \d+ of \d+$/);
  expect(await readFile(path)).toEqual(bad);
  expect(await readdir(dir)).toEqual(["checkpoint.img"]);
});

test("an image that says it is not compressed stays as it is, and nothing is said", async () => {
  const metadata = '{"compression":"none"}';
  const file = `gVisorSF\0\0\0\0\0\0\0${String.fromCharCode(metadata.length)}${metadata}pages`;
  await writeFile(path, file, "latin1");
  expect(await makePlain(dir)).toEqual({});
  expect(await readFile(path, "latin1")).toBe(file);
  expect(await readdir(dir)).toEqual(["checkpoint.img"]);
});

test("a folder without such a file is told of", async () => {
  const { slowBecause } = await makePlain(dir);
  expect(slowBecause).toMatch(/ENOENT/);
  expect(await readdir(dir)).toEqual([]);
});

test("an image stays as it is where the new file cannot be written", async () => {
  const file = stateFile([Buffer.alloc(9)], (bytes) => deflateRawSync(bytes));
  await writeFile(path, file);
  // Something is where the file would be written.
  await mkdir(`${path}.plain`);
  const { slowBecause } = await makePlain(dir);
  expect(slowBecause).toMatch(/EEXIST/);
  expect(await readFile(path)).toEqual(file);
  expect(await readdir(dir)).toEqual(["checkpoint.img"]);
});
