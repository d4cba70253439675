import { expect, test } from "vitest";
import { createRng, PlatformError } from "../core/index.ts";
import { CLUSTER_TAG } from "./observe.ts";
import type { DesiredLine } from "./ports.ts";
import { containerOn, testOffer } from "./test-pool.ts";
import { CLUSTER, lineOf, TestWorld } from "./test-world.ts";

const offer = testOffer();
const failure = (code: "unavailable" | "auth_failed" | "capacity_unavailable") =>
  new PlatformError(`the cloud says ${code}`, { code, retryable: true });

function kinds(world: TestWorld): readonly string[] {
  return world.events.map((event) => event.kind);
}

/** What has happened to nodes without our asking. */
function endsByProvider(world: TestWorld): readonly string[] {
  return world.events
    .filter((event) => "byProvider" in event && event.byProvider)
    .map(({ kind }) => kind);
}

async function ticks(
  world: TestWorld,
  count: number,
  desired: readonly DesiredLine[] | undefined,
): Promise<void> {
  for (let done = 0; done < count; done += 1) await world.tick(desired);
}

test("a node lives from rent to release, and every step is told", async () => {
  const world = new TestWorld();
  await ticks(world, 10, [lineOf(offer, 1)]);
  const [machine] = await world.live();
  expect(machine).toMatchObject({ nodeId: "no_00000000000000000000000001" });
  expect(machine?.tags[CLUSTER_TAG]).toBe(CLUSTER);
  expect((await world.ledger.listOpen())[0]).toMatchObject({
    node: { state: "healthy", providerNodeId: machine?.providerNodeId },
    launchedAtMs: 1_000_000,
  });
  await ticks(world, 50, []);
  expect(await world.live()).toEqual([]);
  expect(kinds(world)).toEqual([
    "requested",
    "booting",
    "registered",
    "healthy",
    "draining",
    "releasing",
    "terminated",
  ]);
  const [record] = world.ledger.all();
  expect(record?.terminatedAtMs).toBe(world.endedAtMs.get(machine?.providerNodeId ?? ""));
});

test("every machine carries its cluster, its owner and its plan, also when its rent is repeated", async () => {
  const world = new TestWorld();
  const error = failure("unavailable");
  world.fault = (call) => (call === "rent" ? { error, when: "before" } : undefined);
  await world.tick([{ ...lineOf(offer, 2), planId: "pl_1" }]);
  world.fault = () => undefined;
  await ticks(world, 3, [{ ...lineOf(offer, 2), planId: "pl_2" }]);
  const tags = (await world.live()).map((machine) => machine.tags);
  expect(tags).toHaveLength(2);
  for (const own of tags) {
    expect(own).toMatchObject({
      "flotilla:cluster": CLUSTER,
      "flotilla:owner": "ws_test",
      "flotilla:plan": "pl_1",
    });
  }
});

test("a node that got a container while it was drained is not released under it", async () => {
  const world = new TestWorld();
  await ticks(world, 10, [lineOf(offer, 1)]);
  const nodeId = world.ledger.all()[0]?.node.nodeId ?? "";
  while (!kinds(world).includes("draining")) await world.tick([]);
  world.containers.push(containerOn(nodeId));
  await ticks(world, 10, []);
  expect(await world.live()).toHaveLength(1);
  world.containers.pop();
  await ticks(world, 2, []);
  expect(await world.live()).toEqual([]);
});

test("S10: a refused offer is remembered, and a stand-in is rented within the same tick", async () => {
  const dearer = testOffer("dearer", { priceMicroUsdPerHour: 25_000_000 });
  const world = new TestWorld({ offers: [offer, dearer] });
  world.provider.setCapacity(offer.offerId, 1);
  const tick = await world.tick([lineOf(offer, 3)]);
  expect(tick?.refusals).toMatchObject([{ key: `offer ${offer.offerId}`, count: 1 }]);
  expect(world.rentCallCount).toBe(1);
  expect(await world.live()).toHaveLength(3);
  const records = await world.ledger.listOpen();
  expect(records.map(({ node }) => node.instanceType)).toEqual(["h100", "dearer", "dearer"]);
  expect(records[1]?.node.priceMicroUsdPerHour).toBe(dearer.priceMicroUsdPerHour);
  // The plan that did not know of the stand-ins does not lead to more of them.
  await ticks(world, 5, [lineOf(offer, 3)]);
  expect(world.ledger.all()).toHaveLength(3);
});

test("S10: what no offer of a region gives is asked of the next region in the same tick", async () => {
  const abroad = testOffer("h100", { region: "r2", quotaGroups: ["fake/r2/h/on-demand"] });
  const world = new TestWorld({ offers: [offer, abroad] });
  world.provider.setCapacity(offer.offerId, 2);
  const standIns = { purchases: ["on-demand" as const] };
  await world.tick([{ ...lineOf(offer, 5), standIns }]);
  expect(world.rentCallCount).toBe(2);
  expect(await world.live()).toHaveLength(5);
  const regions = (await world.ledger.listOpen()).map(({ node }) => node.region);
  expect(regions).toEqual(["r1", "r1", "r2", "r2", "r2"]);
});

test("a refused offer without a stand-in is remembered and asked for no more", async () => {
  const other = testOffer("other", { gpuType: "A10" });
  const world = new TestWorld({ offers: [offer, other] });
  world.provider.setCapacity(offer.offerId, 0);
  await world.tick([lineOf(offer, 3)]);
  expect(await world.live()).toEqual([]);
  expect(world.ledger.all().every((one) => one.node.state === "terminated")).toBe(true);
  expect(world.ledger.all().every((one) => one.launchedAtMs === undefined)).toBe(true);
  await ticks(world, 5, [lineOf(offer, 3)]);
  expect(world.ledger.all()).toHaveLength(3);
  await world.tick([lineOf(other, 1)]);
  expect(await world.live()).toHaveLength(1);
});

test("S12: a quota that is used up blocks every offer of its group, and no other place", async () => {
  const sibling = testOffer("sibling");
  const abroad = testOffer("h100", { region: "r2", quotaGroups: ["fake/r2/h/on-demand"] });
  const quotaLimits = { "fake/r1/h/on-demand": 0 };
  const world = new TestWorld({ offers: [offer, sibling, abroad], quotaLimits });
  const standIns = { purchases: ["on-demand" as const] };
  await world.tick([{ ...lineOf(offer, 2), standIns }]);
  expect(world.refusals).toMatchObject([{ key: "quota fake/r1/h/on-demand" }]);
  expect((await world.ledger.listOpen()).map(({ node }) => node.region)).toEqual(["r2", "r2"]);
});

test("nodes of one line are rented by one request, and no faster than the launch rate", async () => {
  const policy = { launchesPerSecondMax: 2, launchBurstMax: 150, nodeCountMax: 400 };
  const world = new TestWorld({ policy });
  await world.tick([lineOf(offer, 400)], 1_000);
  expect(world.rentCallCount).toBe(2);
  expect(await world.live()).toHaveLength(150);
  await ticks(world, 2, [lineOf(offer, 400)]);
  expect((await world.live()).length).toBeLessThanOrEqual(150 + 2 * 6);
});

test("S11: a shortage of an hour is asked about a few times, and ends with it", async () => {
  const world = new TestWorld();
  world.provider.setCapacity(offer.offerId, 0);
  await ticks(world, 720, [lineOf(offer, 1)]);
  expect(world.ledger.all().length).toBeLessThanOrEqual(6);
  world.provider.setCapacity(offer.offerId, 5);
  await ticks(world, 360, [lineOf(offer, 1)]);
  expect(await world.live()).toHaveLength(1);
  expect(world.refusals).toEqual([]);
});

test("S3: a rent whose answer is lost, again and again, leads to one machine a node", async () => {
  const world = new TestWorld({ visibilityMs: 40_000 });
  for (let lost = 0; lost < 4; lost += 1) {
    world.provider.failNext({ operation: "rent", error: failure("unavailable"), when: "after" });
  }
  await ticks(world, 30, [lineOf(offer, 3)]);
  expect(await world.live()).toHaveLength(3);
  expect(world.ledger.all()).toHaveLength(3);
  expect(world.ledger.all().every(({ node }) => node.state === "healthy")).toBe(true);
});

test("a provider that cannot be listed loses no node and is not rented from", async () => {
  const world = new TestWorld();
  await ticks(world, 10, [lineOf(offer, 2)]);
  for (let failed = 0; failed < 60; failed += 1) {
    world.provider.failNext({
      operation: "listNodes",
      error: failure("unavailable"),
      when: "before",
    });
  }
  // The world's own look at the machines fails as well, so it is left out here.
  const { clock, ledger, provider } = world;
  const { PoolController } = await import("./controller.ts");
  const { countingIds, DEFAULT_POOL_POLICY } = await import("../core/index.ts");
  const controller = new PoolController({
    providers: new Map([["fake", provider]]),
    ledger,
    clock,
    ids: countingIds(),
    policy: DEFAULT_POOL_POLICY,
    clusterId: CLUSTER,
    userDataFor: () => "",
    onEvent: () => undefined,
  });
  for (let count = 0; count < 50; count += 1) {
    const agents = new Map(
      ledger.all().map(({ node }) => [node.nodeId, { lastHeardAtMs: clock.nowMs() }]),
    );
    const facts = { offers: [offer], containers: [], agents, emptySinceMs: new Map() };
    const tick = await controller.tick([lineOf(offer, 5)], facts);
    expect(tick.unreachableClouds).toEqual(["fake"]);
    expect(tick.actions).toEqual([]);
    await clock.advance(5_000);
  }
  expect((await ledger.listOpen()).map((one) => one.node.state)).toEqual(["healthy", "healthy"]);
});

test("lost credentials refuse the whole cloud and leave no record open", async () => {
  const world = new TestWorld();
  world.provider.failNext({ operation: "rent", error: failure("auth_failed"), when: "before" });
  await world.tick([lineOf(offer, 1)]);
  expect(world.refusals).toMatchObject([{ key: "cloud fake" }]);
  expect(await world.ledger.listOpen()).toEqual([]);
});

test("a node whose agent falls silent is given back and replaced", async () => {
  const world = new TestWorld();
  await ticks(world, 10, [lineOf(offer, 1)]);
  const [before] = await world.live();
  world.mute.add(before?.nodeId ?? "");
  await ticks(world, 12, [lineOf(offer, 1)]);
  const after = await world.live();
  expect(after).toHaveLength(1);
  expect(after[0]?.nodeId).not.toBe(before?.nodeId);
});

test("a machine that was deleted by hand is noticed and replaced once", async () => {
  const world = new TestWorld();
  await ticks(world, 10, [lineOf(offer, 1)]);
  await world.provider.release([(await world.live())[0]?.providerNodeId ?? ""]);
  await ticks(world, 4, [lineOf(offer, 1)]);
  expect(await world.live()).toHaveLength(1);
  expect(world.ledger.all()).toHaveLength(2);
});

test("a reclaim notice drains the node and rents its replacement at once", async () => {
  const world = new TestWorld();
  await ticks(world, 10, [lineOf(offer, 1)]);
  world.provider.reclaim((await world.live())[0]?.providerNodeId ?? "");
  await world.tick([lineOf(offer, 1)]);
  expect(kinds(world).slice(-3)).toEqual(["draining", "requested", "booting"]);
  expect(endsByProvider(world)).toEqual(["draining"]);
});

test("an end that nobody asked for is told as its provider's, and one of ours is not", async () => {
  const world = new TestWorld();
  await ticks(world, 10, [lineOf(offer, 2)]);
  await world.provider.release([(await world.live())[0]?.providerNodeId ?? ""]);
  await ticks(world, 4, [lineOf(offer, 1)]);
  expect(endsByProvider(world)).toEqual(["terminated"]);
  await ticks(world, 50, []);
  expect(await world.live()).toEqual([]);
  expect(kinds(world).filter((kind) => kind === "terminated")).toHaveLength(2);
  expect(endsByProvider(world)).toEqual(["terminated"]);
});

test("a machine with our tag that nobody owns is given back; a foreign one is not touched", async () => {
  const world = new TestWorld();
  const rent = (nodeId: string, cluster: string) =>
    world.provider.rent({
      offers: [offer],
      nodeIds: [nodeId],
      clientToken: nodeId,
      userData: "",
      tags: { [CLUSTER_TAG]: cluster },
    });
  await rent("lost", CLUSTER);
  await rent("foreign", "another-cluster");
  await ticks(world, 5, undefined);
  expect(await world.live()).toHaveLength(2);
  await ticks(world, 10, undefined);
  expect((await world.live()).map((one) => one.nodeId)).toEqual(["foreign"]);
  expect(kinds(world)).toEqual(["orphan_released"]);
});

test("a machine that never registers is given back and its offer left alone", async () => {
  const world = new TestWorld({ policy: { registrationTimeoutMs: 60_000 } });
  world.mute.add("no_00000000000000000000000001");
  await ticks(world, 14, [lineOf(offer, 1)]);
  expect(await world.live()).toEqual([]);
  expect(world.refusals[0]?.reason).toBe("its agent did not register within 60 s");
});

test("after a pause in which nothing could be heard, nobody is given up for lost", async () => {
  const world = new TestWorld();
  await ticks(world, 10, [lineOf(offer, 2)]);
  for (const { nodeId = "" } of await world.live()) world.mute.add(nodeId);
  await world.clock.advance(300_000);
  await world.tick([lineOf(offer, 2)]);
  world.mute.clear();
  await ticks(world, 5, [lineOf(offer, 2)]);
  expect(await world.live()).toHaveLength(2);
  expect(world.ledger.all()).toHaveLength(2);
});

test("a second tick before the first has ended is a bug that is named", async () => {
  const world = new TestWorld();
  const both = Promise.all([world.tick([], 0), world.tick([], 0)]);
  await expect(both).rejects.toThrow("a pool tick began before the last one ended");
});

/** Two crashes, lost answers and slow visibility; checks after every tick. Gives the deaths. */
async function crashRun(seed: number): Promise<readonly string[]> {
  const rng = createRng(seed);
  const count = 1 + rng.below(6);
  const nameless = rng.below(2) === 0;
  const offers = [offer, ...(rng.below(2) === 0 ? [testOffer("standin")] : [])];
  const visibilityMs = rng.below(3) * 20_000;
  const world = new TestWorld({ seed, visibilityMs, nameless, offers });
  if (offers.length > 1) world.provider.setCapacity(offer.offerId, rng.below(count + 1));
  const phase = async (lines: readonly DesiredLine[], tickCount: number): Promise<void> => {
    world.crashAt({ step: rng.below(30), when: rng.below(2) === 0 ? "before" : "after" });
    for (let done = 0; done < tickCount; done += 1) {
      if (rng.below(20) === 0) {
        const when = rng.below(2) === 0 ? "before" : "after";
        world.provider.failNext({ operation: "rent", error: failure("unavailable"), when });
      }
      await world.tick(lines);
      const machines = await world.live();
      expect(machines.length).toBeLessThanOrEqual(count);
      expect(new Set(machines.map((one) => one.nodeId)).size).toBe(machines.length);
    }
  };
  await phase([lineOf(offer, count)], 50);
  await ticks(world, 3, [lineOf(offer, count)]);
  const linked = (await world.ledger.listOpen()).map(({ node }) => node.providerNodeId);
  expect(linked.toSorted()).toEqual((await world.live()).map((one) => one.providerNodeId).sort());
  expect(linked).toHaveLength(count);
  await phase([], 60);
  expect(await world.live()).toEqual([]);
  const rented = world.ledger.all().filter((one) => one.launchedAtMs !== undefined);
  expect(rented).toHaveLength(count);
  for (const { node, terminatedAtMs = Infinity } of rented) {
    const endedAtMs = world.endedAtMs.get(node.providerNodeId ?? "") ?? 0;
    expect(node.state).toBe("terminated");
    expect(terminatedAtMs - endedAtMs).toBeLessThanOrEqual(10_000);
  }
  return world.deaths;
}

test("S1, S2: killed before or after any call, it rents one machine a node and leaks none", async () => {
  const deaths = new Set<string>();
  for (let seed = 1; seed <= 200; seed += 1) {
    const own = await crashRun(seed).catch((error: unknown) => {
      throw new Error(`seed ${seed}`, { cause: error });
    });
    for (const death of own) deaths.add(death);
  }
  const calls = ["rent", "release", "put requested", "put booting", "put draining"];
  for (const call of [...calls, "put terminated", "listNodes", "listOpen", "get"]) {
    expect(deaths).toContain(`before ${call}`);
    expect(deaths).toContain(`after ${call}`);
  }
}, 60_000);

test("S22: a node on a machine that no listing has is told of once, and kept until it is silent", async () => {
  const world = new TestWorld();
  await ticks(world, 12, [lineOf(offer, 2)]);
  const [taken] = await world.live();
  world.untagged.add(taken?.providerNodeId ?? "");
  await ticks(world, 30, [lineOf(offer, 2)]);
  const unlisted = () => world.events.filter(({ kind }) => kind === "unlisted");
  expect(unlisted()).toMatchObject([{ node: { nodeId: taken?.nodeId } }]);
  expect(await world.ledger.listOpen()).toHaveLength(2);
  // Listed again and lost again is news.
  world.untagged.clear();
  await ticks(world, 2, [lineOf(offer, 2)]);
  world.untagged.add(taken?.providerNodeId ?? "");
  await ticks(world, 4, [lineOf(offer, 2)]);
  expect(unlisted()).toHaveLength(2);
  world.mute.add(taken?.nodeId ?? "");
  await ticks(world, 30, [lineOf(offer, 2)]);
  expect(endsByProvider(world)).toEqual(["terminated"]);
  expect(world.ledger.all()).toHaveLength(3);
});
