/** What the pool remembers over restarts and from leader to leader: real Redis, SQLite on disk. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import {
  countingIds,
  createRng,
  DEFAULT_POOL_POLICY,
  MS_PER_MINUTE,
  MS_PER_SECOND,
  offerIdOf,
  type IdSource,
  type Offer,
} from "../../core/index.ts";
import type { DesiredLine } from "../../pool/index.ts";
import {
  createFakeProvider,
  createManualClock,
  type FakeProvider,
  type ManualClock,
} from "../../providers/fake/index.ts";
import { connectRedis } from "../redis/endpoint.ts";
import { startRedisChild, type RedisChild } from "../redis/redis-child.ts";
import { openRecordStore } from "../store/sqlite/open.ts";
import type { RecordStore } from "../store/record-store.ts";
import { Leadership } from "./leadership.ts";
import { NodeTable } from "./node-table.ts";
import { PoolKeeper } from "./pool-keeper.ts";
import { TestFleet } from "./test-fleet.ts";

const TICK_MS = 5 * MS_PER_SECOND;
const LEASE_KEY = "flotilla:{lease:pool}";

const shape: Omit<Offer, "offerId"> = {
  cloud: "fake",
  region: "r1",
  instanceType: "h100",
  purchase: "on-demand",
  gpuType: "H100",
  resources: { gpuCount: 8, cpuMilli: 64_000, memoryMiB: 524_288 },
  priceMicroUsdPerHour: 20_000_000,
  reclaimFractionPerHour: 0,
  bootMs: 1_000,
  nodeCountMax: 100,
  quotaGroups: [],
  emulated: true,
};
const offer: Offer = { ...shape, offerId: offerIdOf(shape) };
const line = (count: number): readonly DesiredLine[] => [
  { offerId: offer.offerId, count, reason: "demand" },
];

let dir: string;
let child: RedisChild;
let redis: Redis;
let store: RecordStore;
let clock: ManualClock;
let cloud: FakeProvider;
let ids: IdSource;
/** What every agent's check finds broken. */
let faults: readonly string[];

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "flotilla-memory-"));
  child = await startRedisChild({ dataDir: dir });
  redis = connectRedis(child.endpoint, "memory", () => undefined);
});
afterAll(async () => {
  redis.disconnect();
  await child.stop();
  await rm(dir, { recursive: true });
});
beforeEach(async () => {
  await redis.flushall();
  await rm(join(dir, "records.sqlite"), { force: true });
  store = openRecordStore(join(dir, "records.sqlite"));
  clock = createManualClock(1_000_000);
  cloud = createFakeProvider({ clock, rng: createRng(1), offers: [offer] });
  ids = countingIds();
  faults = [];
});
afterEach(async () => {
  await store.close();
});

/** A server as far as it keeps the pool. */
function server(holder: string) {
  const nodes = new NodeTable(store.nodes);
  const errors: unknown[] = [];
  const onError = (error: unknown) => errors.push(error);
  const keeper = new PoolKeeper({
    providers: new Map([["fake", cloud]]),
    store,
    nodes,
    clock,
    ids,
    policy: { ...DEFAULT_POOL_POLICY, unhealthyFractionMax: 1 },
    clusterId: "c",
    userDataFor: () => "",
    leadership: new Leadership({
      ...{ redis, fences: store.fences, clock, name: "pool", holder, onError },
      leaseMs: 10 * MS_PER_MINUTE,
      onChange: () => undefined,
    }),
    events: {
      publish: () => undefined,
      written: () => Promise.resolve(),
      read: () => expect.fail("no test reads events"),
    },
    containers: new TestFleet().placing.desk,
    onUsable: () => undefined,
    onDraining: () => undefined,
    onMarketChanged: () => undefined,
    onPoolEvent: () => undefined,
    onError,
  });
  const tick = async (desired: readonly DesiredLine[]): Promise<void> => {
    const agents = new Map(
      (await cloud.listNodes()).nodes
        .filter(({ state }) => state === "running")
        .map(({ nodeId = "" }) => [nodeId, { lastHeardAtMs: clock.nowMs(), faults }] as const),
    );
    const facts = { offers: [offer], containers: [], agents, emptySinceMs: new Map() };
    await keeper.tick(desired, facts);
    await clock.advance(TICK_MS);
  };
  return { keeper, errors, tick, price: () => keeper.openOffers([offer])[0]?.priceMicroUsdPerHour };
}

/** The server ends without a word, and another one is started on what it left on disk. */
async function restarted(): Promise<ReturnType<typeof server>> {
  await store.close();
  store = openRecordStore(join(dir, "records.sqlite"));
  const next = server("a");
  expect(await next.keeper.leads()).toBe(true);
  return next;
}

test("after a restart a refused offer still rests, and a bad one is still dearer", async () => {
  const first = server("a");
  await first.keeper.leads();
  for (let tick = 0; tick < 3; tick += 1) await first.tick(line(1));
  faults = ["GPU 0 has fallen off the bus"];
  await first.tick([]);
  cloud.setCapacity(offer.offerId, 0);
  await first.tick(line(2));
  expect(first.price()).toBeUndefined();

  const next = await restarted();
  cloud.setCapacity(offer.offerId, 10);
  faults = [];
  expect(next.price()).toBeUndefined();
  const restMs = DEFAULT_POOL_POLICY.refusalTtlMs * 0.8 - 2 * TICK_MS;
  for (let passedMs = 0; passedMs < restMs; passedMs += TICK_MS) {
    await next.tick(line(2));
    expect(next.keeper.openOffers([offer])).toEqual([]);
  }
  await clock.advance(DEFAULT_POOL_POLICY.refusalTtlMs);
  expect(next.price()).toBeGreaterThan(1.2 * offer.priceMicroUsdPerHour);
  await next.keeper.leads();
  await next.tick(line(2));
  expect(next.keeper.latest?.records.filter(({ node }) => node.state === "booting")).toHaveLength(
    2,
  );
});

test("S19: another server that begins to lead remembers what the one before it learned", async () => {
  const [first, second] = [server("a"), server("b")];
  await first.keeper.leads();
  expect(await second.keeper.leads()).toBe(false);
  cloud.setCapacity(offer.offerId, 0);
  await first.tick(line(2));
  expect(second.price()).toBe(offer.priceMicroUsdPerHour);
  await first.keeper.close();
  expect(await second.keeper.leads()).toBe(true);
  expect(second.price()).toBeUndefined();
  // What the second one learns the first one knows when it leads again, and nothing older.
  await clock.advance(DEFAULT_POOL_POLICY.refusalTtlMs);
  cloud.setCapacity(offer.offerId, 10);
  await second.tick(line(1));
  expect(second.price()).toBe(offer.priceMicroUsdPerHour);
  await second.keeper.close();
  expect(await first.keeper.leads()).toBe(true);
  expect(first.price()).toBe(offer.priceMicroUsdPerHour);
  expect([...first.errors, ...second.errors]).toEqual([]);
});

test("S19: what a deposed server learns late is refused, and its successor does not hear of it", async () => {
  const [first, second] = [server("a"), server("b")];
  await first.keeper.leads();
  for (let tick = 0; tick < 3; tick += 1) await first.tick(line(1));
  const known = await store.poolMemory.list();
  await redis.del(LEASE_KEY);
  expect(await second.keeper.leads()).toBe(true);
  faults = ["GPU 0 has fallen off the bus"];
  await expect(first.tick(line(1))).rejects.toMatchObject({ code: "conflict" });
  expect(await store.poolMemory.list()).toEqual(known);
  expect(await first.keeper.leads()).toBe(false);
});
