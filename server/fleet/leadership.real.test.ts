/** Leases in a real Redis; time moves only in the clocks of the replicas, and by expiry. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import type { Clock } from "../../core/index.ts";
import { connectRedis } from "../redis/endpoint.ts";
import { startRedisChild, type RedisChild } from "../redis/redis-child.ts";
import { openRecordStore } from "../store/sqlite/open.ts";
import type { RecordStore } from "../store/record-store.ts";
import { Leadership } from "./leadership.ts";

let dir: string;
let child: RedisChild;
let redis: Redis;
let store: RecordStore;
let nowMs: number;

const clock: Clock = { nowMs: () => nowMs, sleep: () => Promise.resolve() };
const LEASE_KEY = "flotilla:{lease:pool}";

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "flotilla-lease-"));
  child = await startRedisChild({ dataDir: dir });
  redis = connectRedis(child.endpoint, "lease", () => undefined);
});
afterAll(async () => {
  redis.disconnect();
  await child.stop();
  await rm(dir, { recursive: true });
});
beforeEach(async () => {
  await redis.flushall();
  store = openRecordStore(":memory:");
  nowMs = 1_000_000;
});
afterEach(async () => {
  await store.close();
});

function replica(holder: string, leaseMs = 60_000) {
  const changes: string[] = [];
  const errors: unknown[] = [];
  const leadership = new Leadership({
    redis,
    fences: store.fences,
    clock,
    name: "pool",
    holder,
    leaseMs,
    onChange: (change) => changes.push(change),
    onError: (error) => errors.push(error),
  });
  return { leadership, changes, errors };
}

test("S19: of two replicas one leads, and the other knows who does", async () => {
  const [first, second] = [replica("a"), replica("b")];
  expect(await first.leadership.lead()).toEqual({ name: "pool", token: 1 });
  expect(await second.leadership.lead()).toBeUndefined();
  expect(second.leadership.leader).toBe("a");
  nowMs += 30_000;
  expect(await first.leadership.lead()).toEqual({ name: "pool", token: 1 });
  expect([first.changes, second.changes]).toEqual([["leads"], []]);
});

test("S19: a lease that ended goes to the next one, and what the old leader writes is refused", async () => {
  const [first, second] = [replica("a"), replica("b")];
  const stale = await first.leadership.lead();
  await redis.del(LEASE_KEY);
  expect(await second.leadership.lead()).toEqual({ name: "pool", token: 2 });
  // The first one has not noticed: by its own clock the lease still holds.
  expect(first.leadership.fence).toEqual(stale);
  await expect(store.nodes.putFenced(stale ?? { name: "", token: 0 })).rejects.toMatchObject({
    code: "conflict",
  });
  first.leadership.deposed();
  expect(await first.leadership.lead()).toBeUndefined();
  expect(first.leadership.leader).toBe("b");
});

test("S19: a leader that slept through its lease does not take itself for one", async () => {
  const first = replica("a");
  await first.leadership.lead();
  nowMs += 55_000;
  expect(first.leadership.fence).toBeUndefined();
  await redis.set(LEASE_KEY, "7 b", "PX", 60_000);
  expect(await first.leadership.lead()).toBeUndefined();
  expect(first.changes).toEqual(["leads", "follows"]);
});

test("S29: a clock that jumps back ends the lease here, and it is asked for anew", async () => {
  const first = replica("a");
  await first.leadership.lead();
  nowMs -= 3_600_000;
  expect(first.leadership.fence).toBeUndefined();
  expect(await first.leadership.lead()).toEqual({ name: "pool", token: 1 });
});

test("a replica that restarts leads at once, under a new token", async () => {
  await replica("a").leadership.lead();
  expect(await replica("a").leadership.lead()).toEqual({ name: "pool", token: 2 });
});

test("tokens go on when Redis has lost its data", async () => {
  await store.fences.claim({ name: "pool", token: 41 });
  expect(await replica("a").leadership.lead()).toEqual({ name: "pool", token: 42 });
});

test("a replica that closes gives the lease away", async () => {
  const first = replica("a");
  await first.leadership.lead();
  await first.leadership.close();
  expect(await replica("b").leadership.lead()).toEqual({ name: "pool", token: 2 });
});

test("without Redis a leader leads until its lease ends, and says why it does not after", async () => {
  const lost = connectRedis({ path: join(dir, "nobody") }, "lost", () => undefined, {
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
  });
  const errors: unknown[] = [];
  const leadership = new Leadership({
    redis: lost,
    fences: store.fences,
    clock,
    name: "pool",
    holder: "a",
    onChange: () => undefined,
    onError: (error) => errors.push(error),
  });
  expect(await leadership.lead()).toBeUndefined();
  expect(errors).toHaveLength(1);
  lost.disconnect();
});
