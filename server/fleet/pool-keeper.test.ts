/** Two control planes over one record store and one cloud: what the deposed one does late. */
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  countingIds,
  createRng,
  DEFAULT_POOL_POLICY,
  offerIdOf,
  type Offer,
} from "../../core/index.ts";
import { PoolController, type PoolFacts } from "../../pool/index.ts";
import { createFakeProvider, createManualClock } from "../../providers/fake/index.ts";
import type { Provider } from "../../providers/index.ts";
import { openRecordStore } from "../store/sqlite/open.ts";
import type { Fence, RecordStore } from "../store/record-store.ts";
import { NodeTable } from "./node-table.ts";
import { poolLedgerOf } from "./pool-side.ts";

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
const clock = createManualClock(1_000_000);
const lines = [{ offerId: offer.offerId, count: 2, reason: "demand" }];

let store: RecordStore;

beforeEach(() => {
  store = openRecordStore(":memory:");
});
afterEach(async () => {
  await store.close();
});

/** One control plane, with what it remembers of the nodes. */
function controlPlane(cloud: Provider, token: number, ids = countingIds()) {
  const nodes = new NodeTable(store.nodes);
  const fence: Fence = { name: "pool", token };
  const controller = new PoolController({
    providers: new Map([["fake", cloud]]),
    ledger: poolLedgerOf(nodes, store, { clock, fence: () => fence }),
    clock,
    ids,
    policy: DEFAULT_POOL_POLICY,
    clusterId: "c",
    userDataFor: () => "",
    onEvent: () => undefined,
  });
  const facts: PoolFacts = {
    offers: [offer],
    containers: [],
    agents: () => nodes.sightings(),
    emptySinceMs: new Map(),
  };
  return { nodes, fence, tick: (wanted = lines) => controller.tick(wanted, facts) };
}

test("S19: a deposed leader rents nothing, and its successor rents what is wanted once", async () => {
  const cloud = createFakeProvider({ clock, rng: createRng(1), offers: [offer] });
  const ids = countingIds();
  const old = controlPlane(cloud, 1, ids);
  await store.fences.claim(old.fence);
  const next = controlPlane(cloud, 2, ids);
  await store.fences.claim(next.fence);
  await expect(old.tick()).rejects.toMatchObject({ code: "conflict" });
  expect((await cloud.listNodes()).nodes).toEqual([]);
  expect(await store.nodes.listOpen()).toEqual([]);
  await next.tick();
  expect((await cloud.listNodes()).nodes).toHaveLength(2);
});

test("S19: a leader that is deposed between its intent and its answer leaves one machine a node", async () => {
  const cloud = createFakeProvider({ clock, rng: createRng(1), offers: [offer] });
  const ids = countingIds();
  const old = controlPlane(
    {
      cloud: "fake",
      listOffers: () => cloud.listOffers(),
      listNodes: () => cloud.listNodes(),
      interruptions: () => cloud.interruptions(),
      release: (providerIds: readonly string[]) => cloud.release(providerIds),
      close: () => cloud.close(),
      rent: async (request: Parameters<typeof cloud.rent>[0]) => {
        const outcome = await cloud.rent(request);
        await store.fences.claim({ name: "pool", token: 2 });
        return outcome;
      },
    },
    1,
    ids,
  );
  await store.fences.claim(old.fence);
  await expect(old.tick()).rejects.toMatchObject({ code: "conflict" });
  expect((await cloud.listNodes()).nodes).toHaveLength(2);
  const next = controlPlane(cloud, 2, ids);
  await next.nodes.load(clock.nowMs());
  for (let tick = 0; tick < 5; tick += 1) {
    await next.tick();
    await clock.advance(10_000);
  }
  expect((await cloud.listNodes()).nodes).toHaveLength(2);
  const open = await store.nodes.listOpen();
  expect(open.map(({ node }) => node.providerNodeId).sort()).toEqual(
    (await cloud.listNodes()).nodes.map(({ providerNodeId }) => providerNodeId).sort(),
  );
});

test("a new leader takes over the nodes of the ledger, and forgets those that have ended", async () => {
  const cloud = createFakeProvider({ clock, rng: createRng(1), offers: [offer] });
  const first = controlPlane(cloud, 1);
  await first.tick();
  const second = new NodeTable(store.nodes);
  await second.load(clock.nowMs());
  expect(second.all()).toHaveLength(2);
  const [one] = second.all();
  if (one === undefined) throw new Error("two nodes were rented");
  const ended = { ...one.stored, node: { ...one.stored.node, state: "terminated" as const } };
  await store.nodes.put({ ...ended, terminatedAtMs: clock.nowMs() });
  await second.load(clock.nowMs());
  expect(second.all()).toHaveLength(1);
});
