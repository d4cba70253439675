import { mkdtemp, readdir, readFile, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createChunkSource } from "./chunk-source.ts";
import { describeChunkStore } from "./chunk-store-conformance.ts";
import type { ChunkStore } from "./chunk-store.ts";
import { chunkIdOf, decodeChunk, encodeChunk, ENCODING_HEADER_BYTES } from "./chunk.ts";
import { chunkPath, openDiskTier } from "./disk-tier.ts";
import { createMemoryTier } from "./memory-tier.ts";
import { PlatformError } from "../../core/index.ts";

const freshDir = (): Promise<string> => mkdtemp(join(tmpdir(), "flotilla-chunks-"));
const memory = (byteCountMax?: number): ChunkStore =>
  createMemoryTier({ nowMs: () => 0, ...(byteCountMax === undefined ? {} : { byteCountMax }) });

describeChunkStore("memory", async () => memory());
describeChunkStore("a folder", async () => openDiskTier({ dir: await freshDir() }));
describeChunkStore("a folder with a cap", async () =>
  openDiskTier({ dir: await freshDir(), byteCountMax: 1_000_000 }),
);

/** Chunks that do not compress: each takes `byteCount` and its header. */
async function plainChunks(
  count: number,
  byteCount: number,
): Promise<{ id: string; encoded: Uint8Array }[]> {
  const chunks = Array.from({ length: count }, (_, number) => {
    // Short enough that it is stored as it is.
    const bytes = Buffer.alloc(byteCount, number + 1);
    return { id: chunkIdOf(bytes), bytes };
  });
  return Promise.all(
    chunks.map(async ({ id, bytes }) => ({ id, encoded: await encodeChunk(bytes) })),
  );
}

const SIZE = 95;
const STORED = SIZE + ENCODING_HEADER_BYTES;

async function expectLeastUsedGone(store: ChunkStore): Promise<void> {
  const [first, second, third, fourth] = await plainChunks(4, SIZE);
  for (const { id, encoded } of [first!, second!, third!]) await store.put(id, encoded);
  await store.get(first!.id);
  await store.put(fourth!.id, fourth!.encoded);
  const ids = [first!.id, second!.id, third!.id, fourth!.id];
  expect(await store.has(ids)).toEqual(new Set([first!.id, third!.id, fourth!.id]));
}

test("a full memory gives up what was used longest ago", async () => {
  await expectLeastUsedGone(memory(3 * STORED));
});

test("a full folder gives up what was used longest ago", async () => {
  const dir = await freshDir();
  const store = await openDiskTier({ dir, byteCountMax: 3 * STORED });
  await expectLeastUsedGone(store);
  expect(store.byteCount).toBe(3 * STORED);
});

test("a chunk larger than the cap is not kept, and takes nothing from the account", async () => {
  const store = await openDiskTier({ dir: await freshDir(), byteCountMax: 50 });
  const [chunk] = await plainChunks(1, SIZE);
  await store.put(chunk!.id, chunk!.encoded);
  expect(await store.get(chunk!.id)).toBeUndefined();
  expect(store.byteCount).toBe(0);
});

test("a folder opened with a smaller cap shrinks to it, the oldest first, and drops half-written files", async () => {
  const dir = await freshDir();
  const chunks = await plainChunks(4, SIZE);
  const before = await openDiskTier({ dir });
  for (const [age, { id, encoded }] of chunks.entries()) {
    await before.put(id, encoded);
    await utimes(chunkPath(dir, id), 1_000 + age, 1_000 + age);
  }
  const first = chunkPath(dir, chunks[3]!.id);
  await writeFile(`${first}.half`, "half");
  const store = await openDiskTier({ dir, byteCountMax: 2 * STORED });
  expect(await store.has(chunks.map(({ id }) => id))).toEqual(
    new Set([chunks[2]!.id, chunks[3]!.id]),
  );
  expect(await readdir(join(dir, chunks[3]!.id.slice(0, 2)))).toEqual([chunks[3]!.id]);
});

test("a damaged copy is removed from a faster store, and the whole one put in its place", async () => {
  const dir = await freshDir();
  const fast = await openDiskTier({ dir });
  const slow = memory();
  const bytes = Buffer.from("the bytes ".repeat(100));
  const id = chunkIdOf(bytes);
  await slow.put(id, await encodeChunk(bytes));
  const source = createChunkSource([fast, slow]);
  expect(await source.read(id)).toEqual(bytes);
  const whole = await readFile(chunkPath(dir, id));
  const torn = Buffer.from(whole);
  torn[torn.length - 1] = (torn[torn.length - 1] ?? 0) ^ 1;
  await writeFile(chunkPath(dir, id), torn);
  expect(await source.read(id)).toEqual(bytes);
  expect(await readFile(chunkPath(dir, id))).toEqual(whole);
});

test("every single flipped bit of a stored chunk is found when it is read", async () => {
  for (const text of ["short", "a long text that compresses well ".repeat(20)]) {
    const bytes = Buffer.from(text);
    const id = chunkIdOf(bytes);
    const encoded = await encodeChunk(bytes);
    for (let bit = 0; bit < encoded.byteLength * 8; bit += 1) {
      const flipped = Buffer.from(encoded);
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      // Either it is refused, or the flip did not change what it means.
      let read: Uint8Array | undefined;
      try {
        read = decodeChunk(id, flipped);
      } catch (error) {
        expect(error).toMatchObject({ code: "unavailable", retryable: true });
      }
      if (read !== undefined) expect(read).toEqual(bytes);
    }
  }
});

test("an encoding that unpacks to more than it claims is refused without being unpacked", async () => {
  const bomb = Buffer.from(await encodeChunk(Buffer.alloc(4 * 1_024 * 1_024)));
  bomb.writeUInt32LE(10, 1);
  const id = chunkIdOf(Buffer.alloc(10));
  expect(() => decodeChunk(id, bomb)).toThrow(/damaged/);
  bomb.writeUInt32LE(0xff_ff_ff_ff, 1);
  expect(() => decodeChunk(id, bomb)).toThrow(/claims 4294967295 bytes/);
});

test("many who ask for one chunk cause one read of the slow store", async () => {
  const bytes = Buffer.from("asked for often");
  const id = chunkIdOf(bytes);
  const slow = memory();
  await slow.put(id, await encodeChunk(bytes));
  let reads = 0;
  const counted: ChunkStore = {
    ...slow,
    get: (one) => {
      reads += 1;
      return slow.get(one);
    },
  };
  const source = createChunkSource([memory(), counted]);
  await Promise.all(Array.from({ length: 50 }, () => source.read(id)));
  expect(reads).toBe(1);
  await source.read(id);
  expect(reads).toBe(1);
});

test("a store that cannot be asked is not the same as a chunk that is nowhere", async () => {
  const id = chunkIdOf(Buffer.from("nowhere"));
  await expect(createChunkSource([memory()]).read(id)).rejects.toMatchObject({ code: "not_found" });
  const broken: ChunkStore = {
    ...memory(),
    get: () =>
      Promise.reject(new PlatformError("it is down", { code: "unavailable", retryable: true })),
  };
  await expect(createChunkSource([memory(), broken]).read(id)).rejects.toMatchObject({
    code: "unavailable",
  });
});
