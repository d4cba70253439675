import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { PlatformError } from "../../core/index.ts";
import { ChunkKeeper, REMOVAL_MS_MAX, type ChunkKeeperOptions } from "./chunk-keeper.ts";
import { LeaseEndedError } from "./chunk-records.ts";
import { createChunkSource } from "./chunk-source.ts";
import type { ChunkStore } from "./chunk-store.ts";
import { chunkIdOf, encodeChunk } from "./chunk.ts";
import { ingestTree } from "./ingest-tree.ts";
import { materialise } from "./materialise.ts";
import { createMemoryChunkRecords } from "./memory-chunk-records.ts";
import { createMemoryTier } from "./memory-tier.ts";
import { LEASE_MS } from "./store-lease.ts";

const newStore = (): ChunkStore => createMemoryTier({ nowMs: () => 0 });
const CHUNKS = Array.from({ length: 6 }, (_, number) => Buffer.from(`chunk ${number}`));
const IDS = CHUNKS.map(chunkIdOf);

/** The keeper of a store that nobody else uses. */
function keeperOf(
  store: ChunkStore,
  options: Pick<ChunkKeeperOptions, "imagesInUse" | "chunksOf">,
): ChunkKeeper {
  const clock = { nowMs: () => 0, sleep: () => Promise.resolve() };
  return new ChunkKeeper({ store, records: createMemoryChunkRecords(), clock, ...options });
}

async function idsIn(store: ChunkStore): Promise<readonly string[]> {
  const ids: string[] = [];
  for await (const { id } of store.list()) ids.push(id);
  return ids.sort();
}

/** Every step takes effect when the scheduler says, and is known of at a later moment. */
function steps(scheduler: fc.Scheduler) {
  const wait = (what: string): Promise<void> => scheduler.schedule(Promise.resolve(), what);
  return async <T>(what: string, work: () => Promise<T> | T): Promise<T> => {
    await wait(`${what} begins`);
    try {
      return await work();
    } finally {
      await wait(`${what} ends`);
    }
  };
}

/** How an actor gets its image in use. */
interface Build {
  readonly chunks: readonly number[];
  /**
   * `put` stores without asking what is there, `offer` stores without a lease and asks under
   * one, `share` names what another one has.
   */
  readonly how: "store" | "put" | "offer" | "share";
  /** Steps after which its process is gone; its lease stays. */
  readonly diesAfter: number | undefined;
  readonly isForgotten: boolean;
  readonly delay: number;
}

/** Servers that share a store and its records, on a clock that leaps. */
class World {
  readonly store = newStore();
  readonly records = createMemoryChunkRecords();
  readonly inUse = new Map<string, readonly number[]>();
  readonly lists = new Map<string, readonly number[]>();
  readonly refusals: string[] = [];
  readonly #step: ReturnType<typeof steps>;
  readonly #faults: boolean[];
  #removals = 0;
  #nowMs = 1_000;

  constructor(scheduler: fc.Scheduler, faults: readonly boolean[]) {
    this.#step = steps(scheduler);
    this.#faults = [...faults];
  }

  /** One server's way to all of it. */
  keeper(): ChunkKeeper {
    const { leases, condemned } = this.records;
    const step = this.#step;
    return new ChunkKeeper({
      store: this.#slowStore(),
      records: {
        leases: {
          begin: (...given) => step("begin", () => leases.begin(...given)),
          renew: (...given) => step("renew", () => leases.renew(...given)),
          claim: (...given) => step("claim", () => leases.claim(...given)),
          end: (...given) => step("end", () => leases.end(...given)),
        },
        condemned: {
          condemn: (...given) => step("condemn", () => condemned.condemn(...given)),
          oldestTurn: (...given) => step("oldest", () => condemned.oldestTurn(...given)),
          take: (...given) => step("take", () => condemned.take(...given)),
          forget: (...given) => step("forget", () => condemned.forget(...given)),
        },
      },
      imagesInUse: () => step("images in use", () => [...this.inUse.keys()]),
      chunksOf: (imageId) => step("chunks of", () => idsOf(this.lists.get(imageId) ?? [])),
      clock: {
        nowMs: () => this.#nowMs,
        sleep: () => step("sleep", () => this.leap(REMOVAL_MS_MAX)),
      },
    });
  }

  /** Time passes, but never so much in the middle of a removal: that is what all rests on. */
  leap(durationMs: number): void {
    this.#nowMs += this.#removals > 0 ? 1 : durationMs;
  }

  async build(name: string, { chunks, how, delay, isForgotten, diesAfter }: Build): Promise<void> {
    for (let turn = 0; turn < delay; turn += 1) await this.#step("not yet", () => undefined);
    const life = new Life(diesAfter);
    const keeper = this.keeper();
    if (how === "share") await this.#share(name);
    else await this.#buildOnce(name, { chunks, how, keeper, life }).catch(ended);
    // What may be gone is stored anew, under another lease.
    if (!this.inUse.has(name) && !life.isOver && (how === "store" || how === "put")) {
      await this.#buildOnce(name, { chunks, how, keeper, life }).catch(ended);
    }
    if (!isForgotten) return;
    await this.#step("kept for a while", () => undefined);
    this.inUse.delete(name);
  }

  async #share(name: string): Promise<void> {
    await this.#step("share", () => {
      const [other] = [...this.inUse.values()];
      if (other !== undefined) this.#use(name, other);
    });
  }

  #use(name: string, chunks: readonly number[]): void {
    this.inUse.set(name, chunks);
    this.lists.set(name, chunks);
  }

  async #buildOnce(
    name: string,
    {
      chunks,
      how,
      keeper,
      life,
    }: Pick<Build, "chunks" | "how"> & { readonly keeper: ChunkKeeper; readonly life: Life },
  ): Promise<void> {
    const ids = idsOf(chunks);
    if (how === "offer") {
      for (const id of ids) await life.live(() => this.#put(this.store, id));
    }
    const lease = keeper.lease();
    const isBlind = how === "put";
    const known = isBlind ? new Set<string>() : await life.live(() => lease.store.has(ids));
    const missing = ids.filter((id) => !known.has(id));
    if (how !== "offer") {
      for (const id of missing) await life.live(() => this.#put(lease.store, id));
    }
    if (how !== "offer" || missing.length === 0) {
      const leaseId = await life.live(() => lease.held());
      await life.live(() => this.#step("name", () => this.#name(name, chunks, leaseId)));
    }
    await life.live(() => lease.close());
  }

  #name(name: string, chunks: readonly number[], leaseId: string): void {
    try {
      this.records.checkLease(leaseId);
    } catch (error) {
      this.refusals.push(name);
      throw error;
    }
    this.#use(name, chunks);
  }

  async #put(store: ChunkStore, id: string): Promise<void> {
    await store.put(id, await encodeChunk(CHUNKS[IDS.indexOf(id)] ?? Buffer.alloc(0)));
  }

  #slowStore(): ChunkStore {
    const { store } = this;
    const step = this.#step;
    return {
      get: (id) => step("get", () => store.get(id)),
      put: (id, encoded) => step("put", () => store.put(id, encoded)),
      has: (ids) => step("has", () => store.has(ids)),
      delete: async (ids) => {
        this.#removals += 1;
        try {
          await step("delete", () => this.#delete(ids));
        } finally {
          this.#removals -= 1;
        }
      },
      list: () => store.list(),
    };
  }

  /** Fails as a network does: with some done, or all and no answer. */
  async #delete(ids: readonly string[]): Promise<void> {
    const fails = this.#faults.shift() ?? false;
    const some = fails ? ids.slice(0, this.#faults.length % (ids.length + 1)) : ids;
    await this.store.delete(some);
    if (fails) throw new PlatformError("it broke", { code: "unavailable", retryable: true });
  }
}

/** A process that may die between any two steps. */
class Life {
  #left: number;

  constructor(steps = Infinity) {
    this.#left = steps;
  }

  get isOver(): boolean {
    return this.#left <= 0;
  }

  async live<T>(step: () => Promise<T>): Promise<T> {
    if (this.isOver) throw new Death();
    this.#left -= 1;
    return step();
  }
}

class Death extends Error {}

function ended(error: unknown): void {
  if (!(error instanceof Death || error instanceof LeaseEndedError)) throw error;
}

const idsOf = (numbers: readonly number[]): readonly string[] =>
  numbers.map((number) => IDS[number] ?? "");

test("whatever the order of things, an image in use has all its chunks", async () => {
  const image = fc.uniqueArray(fc.nat({ max: IDS.length - 1 }), { minLength: 1, maxLength: 4 });
  const builds = fc.array(
    fc.record({
      chunks: image,
      how: fc.constantFrom("store", "store", "put", "offer", "share"),
      diesAfter: fc.option(fc.nat({ max: 5 }), { nil: undefined, freq: 4 }),
      isForgotten: fc.boolean(),
      delay: fc.nat({ max: 25 }),
    }),
    { minLength: 1, maxLength: 5 },
  );
  const collectors = fc.array(fc.nat({ max: 3 }), { minLength: 1, maxLength: 3 });
  const leaps = fc.array(fc.nat({ max: 12 }), { maxLength: 4 });
  const faults = fc.array(fc.boolean(), { maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(
      fc.scheduler(),
      fc.record({ builds, collectors, leaps, faults }),
      async (scheduler, run) => {
        const world = new World(scheduler, run.faults);
        // What nobody uses is there already, and may go at any time.
        for (const [number, bytes] of CHUNKS.entries()) {
          await world.store.put(IDS[number] ?? "", await encodeChunk(bytes));
        }
        const collect = async (rounds: number): Promise<void> => {
          const keeper = world.keeper();
          for (let round = 0; round <= rounds; round += 1) await keeper.collect().catch(broken);
        };
        const leap = async (): Promise<void> => {
          for (const delay of run.leaps) {
            for (let turn = 0; turn < delay; turn += 1) {
              await scheduler.schedule(Promise.resolve(), "time passes");
            }
            world.leap(LEASE_MS);
          }
        };
        const building = run.builds.map((build, at) => world.build(`image ${at}`, build));
        await scheduler.waitFor(Promise.all([...building, ...run.collectors.map(collect), leap()]));
        const needed = new Set(idsOf([...world.inUse.values()].flat()));
        const there = await idsIn(world.store);
        for (const id of needed) expect(there).toContain(id);
        // With nobody at work, exactly what is in use stays once dead leases are over.
        world.leap(2 * LEASE_MS);
        const last = new ChunkKeeper({
          store: world.store,
          records: world.records,
          imagesInUse: async () => [...world.inUse.keys()],
          chunksOf: async (imageId) => idsOf(world.lists.get(imageId) ?? []),
          clock: { nowMs: () => Number.MAX_SAFE_INTEGER / 2, sleep: () => Promise.resolve() },
        });
        await last.collect();
        expect(await idsIn(world.store)).toEqual([...needed].sort());
      },
    ),
    { numRuns: 500 },
  );
});

function broken(error: unknown): void {
  if (!(error instanceof PlatformError)) throw error;
}

test("a collection that stood still after it took chunks leaves them to the next", async () => {
  const store = newStore();
  await store.put(IDS[0] ?? "", await encodeChunk(CHUNKS[0] ?? Buffer.alloc(0)));
  const records = createMemoryChunkRecords();
  let nowMs = 1_000;
  let stillMs = REMOVAL_MS_MAX;
  const { leases, condemned } = records;
  const keeper = new ChunkKeeper({
    store,
    records: {
      leases,
      condemned: {
        ...condemned,
        take: async (...given) => {
          const taken = await condemned.take(...given);
          nowMs += stillMs;
          return taken;
        },
      },
    },
    imagesInUse: () => Promise.resolve([]),
    clock: { nowMs: () => nowMs, sleep: () => Promise.resolve() },
  });
  expect(await keeper.collect()).toMatchObject({ removedChunkCount: 0, keptChunkCount: 1 });
  expect(await idsIn(store)).toHaveLength(1);
  stillMs = 0;
  expect(await keeper.collect()).toMatchObject({ removedChunkCount: 1, keptChunkCount: 0 });
  expect(await idsIn(store)).toEqual([]);
});

test("a lease that is closed stores nothing more", async () => {
  const keeper = keeperOf(newStore(), { imagesInUse: () => Promise.resolve([]) });
  const [never, used] = [keeper.lease(), keeper.lease()];
  await used.store.has(IDS);
  for (const lease of [never, used]) {
    await lease.close();
    await lease.close();
    await expect(lease.store.has(IDS)).rejects.toThrow(LeaseEndedError);
    await expect(lease.held()).rejects.toThrow(LeaseEndedError);
  }
});

test("a real image outlives the one it shared chunks with", async () => {
  const store = newStore();
  const tree = mkdtempSync(join(tmpdir(), "flotilla-keeper-"));
  writeFileSync(join(tree, "shared"), Buffer.alloc(300_000, "shared"));
  const first = await ingestTree(tree, store);
  writeFileSync(join(tree, "own"), "own");
  const second = await ingestTree(tree, store);
  const keeper = keeperOf(store, { imagesInUse: async () => [second.imageId] });
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
  const keeper = keeperOf(store, {
    imagesInUse: async () => ["0".repeat(64)],
    chunksOf: () => Promise.reject(broken),
  });
  await expect(keeper.collect()).rejects.toBe(broken);
  expect(await idsIn(store)).toHaveLength(1);
  const gone = keeperOf(store, { imagesInUse: async () => ["0".repeat(64)] });
  expect(await gone.collect()).toMatchObject({ removedChunkCount: 1 });
});
