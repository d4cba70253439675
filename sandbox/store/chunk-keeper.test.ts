import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { PlatformError } from "../../core/index.ts";
import { ChunkKeeper } from "./chunk-keeper.ts";
import { createChunkSource } from "./chunk-source.ts";
import type { ChunkStore } from "./chunk-store.ts";
import { chunkIdOf, encodeChunk } from "./chunk.ts";
import { ingestTree } from "./ingest-tree.ts";
import { materialise } from "./materialise.ts";
import { createMemoryTier } from "./memory-tier.ts";

const newStore = (): ChunkStore => createMemoryTier({ nowMs: () => 0 });
const CHUNKS = Array.from({ length: 6 }, (_, number) => Buffer.from(`chunk ${number}`));
const IDS = CHUNKS.map(chunkIdOf);

async function idsIn(store: ChunkStore): Promise<readonly string[]> {
  const ids: string[] = [];
  for await (const { id } of store.list()) ids.push(id);
  return ids.sort();
}

/** A store whose every operation takes effect when the scheduler says. */
function scheduled(store: ChunkStore, scheduler: fc.Scheduler): ChunkStore {
  const wait = (what: string): Promise<void> => scheduler.schedule(Promise.resolve(), what);
  const twice = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
    await wait(`${what} begins`);
    const result = await work();
    await wait(`${what} ends`);
    return result;
  };
  return {
    get: (id) => twice("get", () => store.get(id)),
    put: (id, encoded) => twice("put", () => store.put(id, encoded)),
    has: (ids) => twice("has", () => store.has(ids)),
    delete: (ids) => twice("delete", () => store.delete(ids)),
    async *list() {
      for await (const chunk of store.list()) {
        await wait("list");
        yield chunk;
      }
    },
  };
}

test("whatever the order of things, an image in use has all its chunks", async () => {
  const image = fc.uniqueArray(fc.nat({ max: IDS.length - 1 }), { minLength: 1, maxLength: 4 });
  const builds = fc.array(
    fc.record({ chunks: image, isForgotten: fc.boolean(), delay: fc.nat({ max: 15 }) }),
    {
      minLength: 1,
      maxLength: 5,
    },
  );
  await fc.assert(
    fc.asyncProperty(
      fc.scheduler(),
      builds,
      fc.nat({ max: 3 }),
      async (scheduler, images, rounds) => {
        const store = newStore();
        // What nobody uses is there already, and may go at any time.
        for (const [number, bytes] of CHUNKS.entries()) {
          await store.put(IDS[number] ?? "", await encodeChunk(bytes));
        }
        const slow = scheduled(store, scheduler);
        const inUse = new Map<string, readonly number[]>();
        const keeper = new ChunkKeeper({
          store: slow,
          imagesInUse: () =>
            scheduler.schedule(Promise.resolve([...inUse.keys()]), "images in use"),
          chunksOf: (imageId) =>
            scheduler.schedule(
              Promise.resolve((inUse.get(imageId) ?? []).map((number) => IDS[number] ?? "")),
              "chunks of",
            ),
        });
        const build = async (name: string, chunks: readonly number[]): Promise<void> => {
          const lease = keeper.lease();
          const ids = chunks.map((number) => IDS[number] ?? "");
          const known = await lease.store.has(ids);
          for (const number of chunks) {
            const id = IDS[number] ?? "";
            if (known.has(id)) continue;
            await lease.store.put(id, await encodeChunk(CHUNKS[number] ?? Buffer.alloc(0)));
          }
          inUse.set(name, chunks);
          await scheduler.schedule(Promise.resolve(), "noted");
          lease.close();
        };
        const work = images.map(async ({ chunks, isForgotten, delay }, position) => {
          for (let turn = 0; turn < delay; turn += 1) {
            await scheduler.schedule(Promise.resolve(), "not yet");
          }
          await build(`image ${position}`, chunks);
          if (!isForgotten) return;
          await scheduler.schedule(Promise.resolve(), "kept for a while");
          inUse.delete(`image ${position}`);
        });
        const collect = async (): Promise<void> => {
          for (let round = 0; round <= rounds; round += 1) await keeper.collect();
        };
        await scheduler.waitFor(Promise.all([...work, collect()]));
        const needed = new Set([...inUse.values()].flat().map((number) => IDS[number] ?? ""));
        const there = await idsIn(store);
        for (const id of needed) expect(there).toContain(id);
        // With nobody at work, exactly what is in use stays.
        await scheduler.waitFor(keeper.collect());
        expect(await idsIn(store)).toEqual([...needed].sort());
      },
    ),
    { numRuns: 300 },
  );
});

test("a real image outlives the one it shared chunks with", async () => {
  const store = newStore();
  const tree = mkdtempSync(join(tmpdir(), "flotilla-keeper-"));
  writeFileSync(join(tree, "shared"), Buffer.alloc(300_000, "shared"));
  const first = await ingestTree(tree, store);
  writeFileSync(join(tree, "own"), "own");
  const second = await ingestTree(tree, store);
  const keeper = new ChunkKeeper({ store, imagesInUse: async () => [second.imageId] });
  const figures = await keeper.collect();
  expect(figures.removedChunkCount).toBeGreaterThan(0);
  expect((await store.has([first.imageId])).size).toBe(0);
  const restored = join(tree, "..", `${first.imageId.slice(0, 8)}-restored`);
  await materialise(second.imageId, createChunkSource([store]), restored);
  expect(await keeper.collect()).toMatchObject({ removedChunkCount: 0, removedBytes: 0 });
});

test("when an image in use cannot be read nothing is removed", async () => {
  const store = newStore();
  await store.put(IDS[0] ?? "", await encodeChunk(CHUNKS[0] ?? Buffer.alloc(0)));
  const broken = new PlatformError("it is down", { code: "unavailable", retryable: true });
  const keeper = new ChunkKeeper({
    store,
    imagesInUse: async () => ["0".repeat(64)],
    chunksOf: () => Promise.reject(broken),
  });
  await expect(keeper.collect()).rejects.toBe(broken);
  expect(await idsIn(store)).toHaveLength(1);
  const gone = new ChunkKeeper({ store, imagesInUse: async () => ["0".repeat(64)] });
  expect(await gone.collect()).toMatchObject({ removedChunkCount: 1 });
});
