/** Nodes whose provider says that it may take them back, on virtual time. */
import { describe, expect, test } from "vitest";
import { DEFAULT_POOL_POLICY, MS_PER_MINUTE } from "../core/index.ts";
import { containerOn, testOffer } from "./test-pool.ts";
import { lineOf, TestWorld } from "./test-world.ts";

const TICK_MS = 5_000;
const spot = testOffer("h100", { purchase: "spot", quotaGroups: ["fake/r1/h/spot"] });
const other = testOffer("h100b", { purchase: "spot", quotaGroups: ["fake/r1/h/spot"] });
const plan = (count: number) => [lineOf(spot, count)];

async function ticks(world: TestWorld, count: number, wanted: number): Promise<void> {
  for (let done = 0; done < count; done += 1) await world.tick(plan(wanted));
}

/** A world of healthy nodes, each with work, of which the first has been advised to leave. */
async function advisedWorld(over: ConstructorParameters<typeof TestWorld>[0] = {}) {
  const world = new TestWorld({ offers: [spot, other], ...over });
  await ticks(world, 10, 2);
  const [advised = ""] = world.ledger.all().map(({ node }) => node.nodeId);
  world.containers.push(...world.ledger.all().map(({ node }) => containerOn(node.nodeId)));
  world.toldRisks.set(advised, world.clock.nowMs());
  const stateOf = (nodeId: string) =>
    world.ledger.all().find(({ node }) => node.nodeId === nodeId)?.node.state;
  const leave = (nodeId: string): void => {
    const at = world.containers.findIndex((one) => one.nodeId === nodeId);
    if (at >= 0) world.containers.splice(at, 1);
  };
  return { world, advised, stateOf, leave };
}

describe("a node that may be taken back", () => {
  test("is cordoned and replaced in the same tick, by another offer where there is one", async () => {
    const { world, advised, stateOf } = await advisedWorld();
    await world.tick(plan(2));
    expect(stateOf(advised)).toBe("cordoned");
    expect(world.ledger.all()).toHaveLength(3);
    expect(world.ledger.all().at(-1)?.node.instanceType).toBe("h100b");
    expect(world.refusals.map(({ key }) => key)).toEqual([`offer ${spot.offerId}`]);
  });

  test("is replaced by its own offer where there is no other", async () => {
    const { world, advised, stateOf } = await advisedWorld({ offers: [spot] });
    await world.tick(plan(2));
    expect(stateOf(advised)).toBe("cordoned");
    expect(world.ledger.all().map(({ node }) => node.instanceType)).toEqual(Array(3).fill("h100"));
  });

  test("serves on until its replacement is healthy, and then has all the time of a drain", async () => {
    const { world, advised, stateOf, leave } = await advisedWorld();
    // The replacement boots for 30 s.
    await ticks(world, 6, 2);
    expect(stateOf(advised)).toBe("cordoned");
    await ticks(world, 2, 2);
    expect(stateOf(advised)).toBe("draining");
    // Far longer than the two minutes of a reclaim, its work goes on.
    const { drainTimeoutMs } = DEFAULT_POOL_POLICY;
    expect(drainTimeoutMs).toBeGreaterThan(2 * MS_PER_MINUTE);
    await ticks(world, drainTimeoutMs / TICK_MS - 3, 2);
    expect(world.endedAtMs.size).toBe(0);
    expect(world.ledger.all()).toHaveLength(3);
    leave(advised);
    await ticks(world, 3, 2);
    expect(stateOf(advised)).toBe("terminated");
  });

  test("goes on with its work for as long as nothing can be rented in its place", async () => {
    const { world, advised, stateOf } = await advisedWorld();
    for (const { offerId } of [spot, other]) world.provider.setCapacity(offerId, 0);
    await ticks(world, 120, 2);
    expect(stateOf(advised)).toBe("cordoned");
    expect(world.endedAtMs.size).toBe(0);
    for (const { offerId } of [spot, other]) world.provider.setCapacity(offerId, 10);
    await ticks(world, 360, 2);
    expect(stateOf(advised)).toBe("terminated");
  });

  test("leaves in a hurry when the notice of the reclaim comes, and is replaced once", async () => {
    const { world, advised, stateOf } = await advisedWorld();
    await ticks(world, 2, 2);
    world.toldReclaims.set(advised, world.clock.nowMs() + 2 * MS_PER_MINUTE);
    await world.tick(plan(2));
    expect(stateOf(advised)).toBe("draining");
    await ticks(world, 24, 2);
    expect(world.endedAtMs.size).toBe(1);
    expect(world.ledger.all()).toHaveLength(3);
  });

  test("is left alone by a policy that keeps such nodes", async () => {
    const { world, advised, stateOf } = await advisedWorld({ policy: { atRisk: "keep" } });
    await ticks(world, 60, 2);
    expect(stateOf(advised)).toBe("healthy");
    expect(world.ledger.all()).toHaveLength(2);
  });

  test("is handled once by the processes that follow each other", async () => {
    const { world, advised, stateOf, leave } = await advisedWorld();
    for (let life = 0; life < 12; life += 1) {
      world.restart();
      await world.tick(plan(2));
    }
    expect(stateOf(advised)).toBe("draining");
    leave(advised);
    await ticks(world, 4, 2);
    expect(stateOf(advised)).toBe("terminated");
    expect(world.ledger.all()).toHaveLength(3);
  });

  test("is drained without a replacement when the plan wants fewer by then", async () => {
    const { world, advised, stateOf } = await advisedWorld();
    await ticks(world, 2, 1);
    expect(stateOf(advised)).toBe("draining");
    expect(world.ledger.all()).toHaveLength(2);
  });

  test("stays cordoned when somebody had cordoned it before", async () => {
    const world = new TestWorld({ offers: [spot] });
    await ticks(world, 10, 1);
    const [record] = world.ledger.all();
    const nodeId = record?.node.nodeId ?? "";
    if (record !== undefined) {
      const node = { ...record.node, state: "cordoned" as const };
      await world.ledger.put([{ ...record, node: { ...node, stateSinceMs: world.clock.nowMs() } }]);
    }
    await world.clock.advance(10_000);
    world.toldRisks.set(nodeId, world.clock.nowMs());
    await ticks(world, 30, 1);
    const states = world.ledger.all().map(({ node }) => node.state);
    expect(states).toEqual(["cordoned", "healthy"]);
  });
});

test("all nodes at once are replaced at once, and none is released before", async () => {
  const { world } = await advisedWorld();
  for (const { node } of world.ledger.all()) {
    world.toldRisks.set(node.nodeId, world.clock.nowMs());
  }
  await ticks(world, 5, 2);
  expect(world.ledger.all().map(({ node }) => node.state)).toEqual([
    "cordoned",
    "cordoned",
    "booting",
    "booting",
  ]);
  await ticks(world, 4, 2);
  const states = world.ledger.all().map(({ node }) => node.state);
  expect(states).toEqual(["draining", "draining", "healthy", "healthy"]);
});
