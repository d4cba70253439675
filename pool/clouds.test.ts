/** What clouds do to a pool, by the names of the scenarios that it must survive. */
import { expect, test } from "vitest";
import { DEFAULT_POOL_POLICY, PlatformError } from "../core/index.ts";
import { CLUSTER_TAG } from "./observe.ts";
import type { DesiredLine } from "./ports.ts";
import { containerOn, testOffer } from "./test-pool.ts";
import { CLUSTER, lineOf, TestWorld } from "./test-world.ts";

const offer = testOffer();
const failure = (code: "unavailable" | "auth_failed" | "rate_limited") =>
  new PlatformError(`the cloud says ${code}`, { code, retryable: true });

async function ticks(
  world: TestWorld,
  count: number,
  desired: readonly DesiredLine[] | undefined,
): Promise<void> {
  for (let done = 0; done < count; done += 1) await world.tick(desired);
}
const states = async (world: TestWorld) =>
  (await world.ledger.listOpen()).map(({ node }) => node.state).sort();

test("S6: machines that listings show late or now and then are neither rented again nor given up", async () => {
  for (const visibilityMs of [0, 20_000, 60_000]) {
    const world = new TestWorld({ visibilityMs, nameless: true, flickerFraction: 0.5 });
    await ticks(world, 30, [lineOf(offer, 4)]);
    expect(await world.live()).toHaveLength(4);
    expect(world.ledger.all()).toHaveLength(4);
    expect(await states(world)).toEqual(Array(4).fill("healthy"));
  }
});

test("S7: a machine that dies while it boots is counted against its offer and replaced", async () => {
  const other = testOffer("other");
  const world = new TestWorld({ offers: [offer, other] });
  await world.tick([lineOf(offer, 2)]);
  await world.provider.release([(await world.live())[0]?.providerNodeId ?? ""]);
  await ticks(world, 3, [lineOf(offer, 2)]);
  expect(world.refusals).toMatchObject([{ key: `offer ${offer.offerId}` }]);
  await ticks(world, 6, [lineOf(offer, 2)]);
  const types = (await world.ledger.listOpen()).map(({ node }) => node.instanceType);
  expect(types).toEqual(["h100", "other"]);
});

test("S8: machines that never register are given back in time, and lead to no hot loop", async () => {
  const world = new TestWorld();
  world.muteAll = true;
  for (let done = 0; done < 4 * 720; done += 1) await world.tick([lineOf(offer, 2)]);
  const records = world.ledger.all();
  expect(records.length).toBeLessThanOrEqual(2 * 14);
  for (const { launchedAtMs = 0, terminatedAtMs = Infinity } of records.slice(0, -2)) {
    expect(terminatedAtMs - launchedAtMs).toBeLessThanOrEqual(910_000);
  }
});

test("S14: lost rights stop the renting from that account, and no node is given up", async () => {
  const world = new TestWorld();
  await ticks(world, 10, [lineOf(offer, 2)]);
  world.provider.failNext({ operation: "rent", error: failure("auth_failed"), when: "before" });
  await world.tick([lineOf(offer, 4)]);
  expect(world.refusals).toMatchObject([{ key: "cloud fake" }]);
  const asked = world.rentCallCount;
  await ticks(world, 20, [lineOf(offer, 4)]);
  expect(world.rentCallCount).toBe(asked);
  expect(await states(world)).toEqual(["healthy", "healthy"]);
});

test("S15: a throttled rent refuses nothing and is asked for again under its token", async () => {
  const world = new TestWorld();
  for (let count = 0; count < 3; count += 1) {
    world.provider.failNext({ operation: "rent", error: failure("rate_limited"), when: "before" });
  }
  await ticks(world, 12, [lineOf(offer, 2)]);
  expect(world.refusals).toEqual([]);
  expect(world.ledger.all()).toHaveLength(2);
  expect(await states(world)).toEqual(["healthy", "healthy"]);
});

test("S18: a leaked machine of a batch is given back, however its batch's others fare", async () => {
  const world = new TestWorld({ nameless: true });
  const leaked = {
    offers: [offer],
    nodeIds: ["no_x", "no_y"],
    clientToken: "rent-no_x",
    userData: "",
    tags: { [CLUSTER_TAG]: CLUSTER },
  };
  await ticks(world, 8, [lineOf(offer, 2)]);
  await world.provider.rent(leaked);
  expect(await world.live()).toHaveLength(4);
  await ticks(world, 16, [lineOf(offer, 2)]);
  expect(await world.live()).toHaveLength(2);
  expect(await states(world)).toEqual(["healthy", "healthy"]);
});

test("S24: a machine that tells of its reclaim is replaced at once and left in time", async () => {
  const other = testOffer("other");
  const world = new TestWorld({ offers: [offer, other] });
  await ticks(world, 10, [lineOf(offer, 1)]);
  const nodeId = world.ledger.all()[0]?.node.nodeId ?? "";
  world.containers.push(containerOn(nodeId));
  const noticedAtMs = world.clock.nowMs();
  world.toldReclaims.set(nodeId, noticedAtMs + 120_000);
  await world.tick([lineOf(offer, 1)], 0);
  const [leaving, coming] = await world.ledger.listOpen();
  expect(leaving?.node).toMatchObject({ nodeId, state: "draining" });
  expect(coming?.node).toMatchObject({ instanceType: "other", state: "booting" });
  expect(world.refusals).toMatchObject([{ key: `offer ${offer.offerId}` }]);
  // The container stays on until ten seconds before the end, and not a tick longer.
  await ticks(world, 21, [lineOf(offer, 1)]);
  expect(world.endedAtMs.size).toBe(0);
  await ticks(world, 2, [lineOf(offer, 1)]);
  const endedAtMs = [...world.endedAtMs.values()][0] ?? Infinity;
  expect(endedAtMs - noticedAtMs).toBeGreaterThanOrEqual(105_000);
  expect(endedAtMs - noticedAtMs).toBeLessThanOrEqual(115_000);
});

test("S24: where nothing else is on offer, the same offer serves once more", async () => {
  const world = new TestWorld();
  await ticks(world, 10, [lineOf(offer, 1)]);
  world.toldReclaims.set(world.ledger.all()[0]?.node.nodeId ?? "", world.clock.nowMs() + 30_000);
  await world.tick([lineOf(offer, 1)]);
  expect(await world.live()).toHaveLength(2);
});

test("S25: notices that repeat, come late or name nobody change nothing more", async () => {
  const world = new TestWorld();
  await ticks(world, 10, [lineOf(offer, 1)]);
  const nodeId = world.ledger.all()[0]?.node.nodeId ?? "";
  world.toldReclaims.set("no_unknown", 1);
  world.toldReclaims.set(nodeId, world.clock.nowMs() + 120_000);
  world.provider.reclaim((await world.live())[0]?.providerNodeId ?? "");
  await ticks(world, 6, [lineOf(offer, 1)]);
  world.toldReclaims.set(nodeId, world.clock.nowMs() - 3_600_000);
  await ticks(world, 20, [lineOf(offer, 1)]);
  expect(world.ledger.all()).toHaveLength(2);
  expect(world.events.filter(({ kind }) => kind === "draining")).toHaveLength(1);
});

test("S26: half of a pool that is taken back at once is replaced by one request, once", async () => {
  const other = testOffer("other");
  const world = new TestWorld({ offers: [offer, other] });
  await ticks(world, 10, [lineOf(offer, 20)]);
  const before = world.rentCallCount;
  for (const { providerNodeId } of (await world.live()).slice(0, 10)) {
    world.provider.reclaim(providerNodeId);
  }
  await world.tick([lineOf(offer, 20)]);
  expect(world.rentCallCount - before).toBe(1);
  await ticks(world, 26, [lineOf(offer, 20)]);
  expect(await world.live()).toHaveLength(20);
  expect(world.ledger.all().filter((one) => one.launchedAtMs !== undefined)).toHaveLength(30);
});

test("S5: each offer that gave nothing is told of, for each node that it gave nothing for", async () => {
  const [second, third] = [testOffer("second"), testOffer("third")];
  const world = new TestWorld({ offers: [offer, second, third] });
  world.provider.setCapacity(offer.offerId, 1);
  world.provider.setCapacity(second.offerId, 2);
  world.provider.setCapacity(third.offerId, 1);
  await world.tick([lineOf(offer, 6)], 0);
  const told = world.events.flatMap((event) => {
    if (!("node" in event) || (event.kind !== "booting" && event.kind !== "refused")) return [];
    const { kind, node, refusedOfferIds = [] } = event;
    return [[kind === "booting" ? node.offerId : kind, ...refusedOfferIds].join(" ")];
  });
  expect(told).toEqual([
    offer.offerId,
    ...Array<string>(2).fill(`${second.offerId} ${offer.offerId}`),
    `${third.offerId} ${offer.offerId} ${second.offerId}`,
    ...Array<string>(2).fill(`refused ${offer.offerId} ${second.offerId} ${third.offerId}`),
  ]);
});

test("S28: a region that is short for long is left within a tick, and its nodes stay", async () => {
  const abroad = testOffer("h100", { region: "r2", quotaGroups: ["fake/r2/h/on-demand"] });
  const world = new TestWorld({ offers: [offer, abroad] });
  const plan = [{ ...lineOf(offer, 4), standIns: { purchases: ["on-demand" as const] } }];
  await ticks(world, 10, [{ ...plan[0]!, count: 2 }]);
  world.provider.setCapacity(offer.offerId, 2);
  await ticks(world, 60, plan);
  const regions = (await world.ledger.listOpen()).map(({ node }) => node.region);
  expect(regions).toEqual(["r1", "r1", "r2", "r2"]);
});

test("S28: nodes of a region that cannot be seen stay, and what is missing is rented elsewhere", async () => {
  const abroad = testOffer("h100", { region: "r2", quotaGroups: ["fake/r2/h/on-demand"] });
  const world = new TestWorld({ offers: [offer, abroad], nameless: true });
  const planOf = (count: number) => [
    { ...lineOf(offer, count), standIns: { purchases: ["on-demand" as const] } },
  ];
  await ticks(world, 10, planOf(3));
  const before = (await world.live()).map(({ providerNodeId }) => providerNodeId);
  world.provider.setRegionDown("r1", true);
  const tick = await world.tick(planOf(5));
  expect(tick?.unseen).toMatchObject([{ cloud: "fake", region: "r1", sinceMs: 1_050_000 }]);
  expect(tick?.unreachableClouds).toEqual([]);
  // Within the same tick: a stand-in of another region for each machine that is missing.
  const regions = async () => (await world.ledger.listOpen()).map(({ node }) => node.region);
  expect(await regions()).toEqual(["r1", "r1", "r1", "r2", "r2"]);
  // For an hour neither given up nor rented again, whatever the listings lack.
  await ticks(world, 720, planOf(5));
  expect(await regions()).toEqual(["r1", "r1", "r1", "r2", "r2"]);
  expect(await states(world)).toEqual(Array(5).fill("healthy"));
  expect(world.endedAtMs.size).toBe(0);
  const told = world.events.filter(({ kind }) => kind === "provider_failed");
  expect(told).toMatchObject([{ attempted: "listing its machines in r1" }]);
  world.provider.setRegionDown("r1", false);
  await ticks(world, 2, planOf(5));
  const after = (await world.live()).map(({ providerNodeId }) => providerNodeId);
  expect(after).toEqual(expect.arrayContaining(before));
  expect(world.ledger.all().filter(({ node }) => node.state === "terminated")).toEqual([]);
});

test("S28: a machine that nobody can see while it boots is not given up as gone", async () => {
  const slow = testOffer("h100", { bootMs: 300_000 });
  const world = new TestWorld({ offers: [slow] });
  await ticks(world, 20, [lineOf(slow, 2)]);
  world.provider.setRegionDown("r1", true);
  await ticks(world, 60, [lineOf(slow, 2)]);
  expect(world.ledger.all().map(({ node }) => node.state)).toEqual(["healthy", "healthy"]);
});

test("S28: a rent whose answer is lost as its region goes down is adopted once when it is back", async () => {
  const abroad = testOffer("h100", { region: "r2", quotaGroups: ["fake/r2/h/on-demand"] });
  const world = new TestWorld({ offers: [offer, abroad], nameless: true });
  const plan = [{ ...lineOf(offer, 2), standIns: { purchases: ["on-demand" as const] } }];
  world.provider.failNext({ operation: "rent", error: failure("unavailable"), when: "after" });
  await world.tick(plan);
  world.provider.setRegionDown("r1", true);
  // Longer than a launch may take: what cannot be looked for is neither abandoned nor repeated.
  await ticks(world, 120, plan);
  expect(world.rentCallCount).toBe(1);
  expect(world.ledger.all()).toHaveLength(2);
  world.provider.setRegionDown("r1", false);
  await ticks(world, 10, plan);
  expect(await world.live()).toHaveLength(2);
  expect(world.ledger.all()).toHaveLength(2);
  expect(await states(world)).toEqual(["healthy", "healthy"]);
});

test("S28: a draining node of a region that is down holds up no release elsewhere", async () => {
  const abroad = testOffer("h100", { region: "r2", quotaGroups: ["fake/r2/h/on-demand"] });
  const world = new TestWorld({ offers: [offer, abroad] });
  await ticks(world, 10, [lineOf(offer, 1), lineOf(abroad, 1)]);
  world.provider.setRegionDown("r1", true);
  await ticks(world, 140, []);
  const left = async () => (await world.ledger.listOpen()).map(({ node }) => node.region);
  expect(await left()).toEqual(["r1"]);
  expect(await world.live()).toHaveLength(1);
  world.provider.setRegionDown("r1", false);
  await ticks(world, 20, []);
  expect(await left()).toEqual([]);
  expect(await world.live()).toEqual([]);
});

test("S28: plans leave a region out when it has been unseen for as long as a refusal holds", async () => {
  const abroad = testOffer("h100", { region: "r2", quotaGroups: ["fake/r2/h/on-demand"] });
  const world = new TestWorld({ offers: [offer, abroad] });
  await world.tick([]);
  world.provider.setRegionDown("r1", true);
  await ticks(world, 2, []);
  expect(world.openOffers()).toEqual([offer, abroad]);
  await ticks(world, DEFAULT_POOL_POLICY.refusalTtlMs / 5_000, []);
  expect(world.openOffers()).toEqual([abroad]);
  world.provider.setRegionDown("r1", false);
  await world.tick([]);
  expect(world.openOffers()).toEqual([offer, abroad]);
});

test("S29: a clock that jumps an hour, either way, ends no node and rents none", async () => {
  for (const jumpMs of [3_600_000, -3_600_000]) {
    const world = new TestWorld();
    await ticks(world, 10, [lineOf(offer, 3)]);
    world.jump(jumpMs);
    await ticks(world, 10, [lineOf(offer, 3)]);
    expect(await states(world)).toEqual(["healthy", "healthy", "healthy"]);
    expect(world.ledger.all()).toHaveLength(3);
  }
});
