/** Machines that are taken back, alone and many at once, and the room that is made for them. */
import { expect, test } from "vitest";
import { countingIds, createRng, DEFAULT_POOL_POLICY, MS_PER_SECOND } from "../core/index.ts";
import { createFakeProvider, createManualClock } from "../providers/fake/index.ts";
import { PoolController } from "./controller.ts";
import { RECLAIM_MARGIN_MS } from "./reconcile.ts";
import type { DesiredLine } from "./ports.ts";
import { containerOn, memoryLedger, testOffer } from "./test-pool.ts";
import { CLUSTER, lineOf, TestWorld } from "./test-world.ts";

const offer = testOffer("h100", { purchase: "spot" });
const NOTICE_MS = 120 * MS_PER_SECOND;

async function worldWith(
  count: number,
  lines: readonly DesiredLine[],
  offers = [offer],
): Promise<TestWorld> {
  const world = new TestWorld({ offers });
  while ((await world.live()).length < count) await world.tick(lines);
  for (let ready = 0; ready < 10; ready += 1) await world.tick(lines);
  return world;
}

test("S24: a notice of 120 s drains at once, replaces in the same tick, and ends 10 s before it", async () => {
  const lines = [lineOf(offer, 1)];
  const world = await worldWith(1, lines);
  const [machine] = await world.live();
  const nodeId = machine?.nodeId ?? "";
  world.containers.push(containerOn(nodeId));
  const noticedAtMs = world.clock.nowMs();
  world.provider.reclaim(machine?.providerNodeId ?? "");
  const tick = await world.tick(lines, 1_000);
  expect(tick?.actions.map(({ kind }) => kind)).toEqual(["drain", "rent"]);
  expect(await world.live()).toHaveLength(2);
  while (world.endedAtMs.size === 0) await world.tick(lines, 1_000);
  const endedAfterMs = (world.endedAtMs.get(machine?.providerNodeId ?? "") ?? 0) - noticedAtMs;
  expect(endedAfterMs).toBeGreaterThanOrEqual(NOTICE_MS - RECLAIM_MARGIN_MS);
  expect(endedAfterMs).toBeLessThan(NOTICE_MS - RECLAIM_MARGIN_MS + 2_000);
  expect(world.ledger.all()).toHaveLength(2);
});

test("S24: a node that is empty when it is taken back is given back without waiting", async () => {
  const lines = [lineOf(offer, 1)];
  const world = await worldWith(1, lines);
  world.provider.reclaim((await world.live())[0]?.providerNodeId ?? "");
  await world.tick(lines, 1_000);
  await world.tick(lines, 1_000);
  expect(world.endedAtMs.size).toBe(1);
});

test("S24: a notice that comes while machines are listed leads to one replacement, not to two", async () => {
  const clock = createManualClock(1_000_000);
  const provider = createFakeProvider({ clock, rng: createRng(1), offers: [offer] });
  const ledger = memoryLedger();
  const first = "no_00000000000000000000000001";
  let reclaimAtMs: number | undefined;
  const agents = () =>
    new Map(
      ledger.all().map(({ node }) => {
        const notice = node.nodeId === first && reclaimAtMs !== undefined ? { reclaimAtMs } : {};
        return [node.nodeId, { lastHeardAtMs: clock.nowMs(), ...notice }];
      }),
    );
  let isNoticed = false;
  const listNodes = async () => {
    const machines = await provider.listNodes();
    const record = await ledger.get(first);
    if (isNoticed && reclaimAtMs === undefined && record !== undefined) {
      reclaimAtMs = clock.nowMs() + NOTICE_MS;
      await ledger.put([{ ...record, node: { ...record.node, state: "cordoned" } }]);
    }
    return machines;
  };
  const controller = new PoolController({
    providers: new Map([
      [
        "fake",
        {
          cloud: "fake",
          listNodes,
          listOffers: () => provider.listOffers(),
          rent: (request) => provider.rent(request),
          release: (ids) => provider.release(ids),
          interruptions: () => provider.interruptions(),
          close: () => provider.close(),
        },
      ],
    ]),
    ledger,
    clock,
    ids: countingIds(),
    policy: DEFAULT_POOL_POLICY,
    clusterId: CLUSTER,
    userDataFor: () => "",
    onEvent: () => undefined,
  });
  const kinds: string[] = [];
  for (let tick = 0; tick < 20; tick += 1) {
    isNoticed = tick >= 10;
    const facts = { offers: [offer], containers: [], agents, emptySinceMs: new Map() };
    const { actions } = await controller.tick([lineOf(offer, 1)], facts);
    kinds.push(...actions.map(({ kind }) => kind));
    await clock.advance(5_000);
  }
  expect(kinds).toEqual(["rent", "drain", "rent", "release"]);
});

test("S26: half of a fleet taken back in 10 s is replaced once, whatever the budget", async () => {
  const lines = [lineOf(offer, 20)];
  const world = await worldWith(20, lines);
  const machines = await world.live();
  for (const { nodeId = "" } of machines) world.containers.push(containerOn(nodeId));
  for (const [index, { providerNodeId }] of machines.slice(0, 10).entries()) {
    world.provider.reclaim(providerNodeId);
    if (index % 2 === 1) await world.tick(lines, 2_000);
  }
  for (let tick = 0; tick < 60; tick += 1) {
    await world.tick(lines);
    const open = await world.ledger.listOpen();
    const present = open.filter(({ node }) => node.state !== "draining");
    expect(present.length).toBeLessThanOrEqual(20);
  }
  expect(world.ledger.all().filter(({ launchedAtMs }) => launchedAtMs !== undefined)).toHaveLength(
    30,
  );
  expect(await world.live()).toHaveLength(20);
});

test("S26: while reclaims are out of the budget, nothing is moved by choice", async () => {
  const cheap = testOffer("cheap", { priceMicroUsdPerHour: 1_000_000 });
  const world = await worldWith(5, [lineOf(offer, 5)], [offer, cheap]);
  const needs = { gpu: { types: ["H100" as const], count: 1 }, cpuMilli: 1_000, memoryMiB: 1_024 };
  const machines = await world.live();
  for (const { nodeId = "" } of machines) {
    world.containers.push({ ...containerOn(nodeId), needs: { ...needs, preemptible: true } });
  }
  await world.clock.advance(20 * 60_000);
  const lines = [lineOf(cheap, 5)];
  world.provider.reclaim(machines[0]?.providerNodeId ?? "");
  const causes: string[] = [];
  for (let tick = 0; tick < 10; tick += 1) {
    const done = await world.tick(lines);
    causes.push(
      ...(done?.actions ?? []).flatMap((one) => (one.kind === "drain" ? one.reason : [])),
    );
  }
  expect(causes).toEqual(["its provider takes the machine back in 120 s"]);
});

test("S27: nodes in use are moved to a cheaper offer one after the other, none twice", async () => {
  const cheap = testOffer("cheap", { priceMicroUsdPerHour: 1_000_000 });
  const world = await worldWith(3, [lineOf(offer, 3)], [offer, cheap]);
  const needs = { gpu: { types: ["H100" as const], count: 8 }, cpuMilli: 1_000, memoryMiB: 1_024 };
  const placeAll = async (): Promise<void> => {
    const resources = { gpuCount: 8, cpuMilli: 1_000, memoryMiB: 1_024 };
    const healthy = (await world.ledger.listOpen()).filter(({ node }) => node.state === "healthy");
    const busy = new Set(world.containers.map(({ nodeId }) => nodeId));
    const free = healthy.filter(({ node }) => !busy.has(node.nodeId));
    const draining = new Set(
      world.ledger
        .all()
        .filter(({ node }) => node.state === "draining")
        .map(({ node }) => node.nodeId),
    );
    for (const [index, container] of world.containers.entries()) {
      if (!draining.has(container.nodeId)) continue;
      const nodeId = free.pop()?.node.nodeId;
      if (nodeId !== undefined) world.containers[index] = { ...container, nodeId };
    }
    if (world.containers.length > 0) return;
    for (const { node } of healthy) {
      const own = { ...needs, preemptible: true };
      world.containers.push({ ...containerOn(node.nodeId), resources, needs: own });
    }
  };
  await placeAll();
  // Long enough ago that the nodes are not new any more.
  await world.clock.advance(20 * 60_000);
  const lines = [lineOf(cheap, 3)];
  let outMax = 0;
  for (let tick = 0; tick < 60; tick += 1) {
    await world.tick(lines);
    await placeAll();
    const open = await world.ledger.listOpen();
    outMax = Math.max(outMax, open.filter(({ node }) => node.state === "draining").length);
  }
  expect(outMax).toBe(1);
  expect((await world.ledger.listOpen()).map(({ node }) => node.instanceType)).toEqual(
    Array.from({ length: 3 }, () => "cheap"),
  );
  expect(world.ledger.all()).toHaveLength(6);
});
