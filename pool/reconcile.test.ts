import fc from "fast-check";
import { expect, test } from "vitest";
import { DEFAULT_POOL_POLICY, MS_PER_MINUTE, NODE_STATES, type PoolPolicy } from "../core/index.ts";
import type { NodeAction } from "./actions.ts";
import { holdPlan, NO_PLAN_HELD, type HeldPlan } from "./held-plan.ts";
import { lookAndReconcile, reconcile } from "./reconcile.ts";
import type { PoolSnapshot } from "./snapshot.ts";
import { remember } from "./refusals.ts";
import { containerOn, testNode, testOffer, testSnapshot } from "./test-pool.ts";

const offer = testOffer();
const line = (count: number, offerId = offer.offerId) => ({ offerId, count, reason: "demand" });
const heard = (nodeIds: readonly string[], lastHeardAtMs: number) =>
  new Map(nodeIds.map((nodeId) => [nodeId, { lastHeardAtMs }]));

function actions(over: Partial<PoolSnapshot>, nowMs = 0): readonly NodeAction[] {
  return reconcile(testSnapshot(over), nowMs);
}

function brief(over: Partial<PoolSnapshot>, nowMs = 0): readonly string[] {
  return actions(over, nowMs).map((one) => {
    switch (one.kind) {
      case "rent":
        return `rent ${one.count} ${one.offerId}`;
      case "resume":
        return `resume ${one.nodeIds.join()}`;
      case "release-stray":
        return `${one.kind} ${one.providerNodeId}`;
      default:
        return `${one.kind} ${one.nodeId}`;
    }
  });
}

test("what the plan wants and is not there or coming is rented, with the plan's reason", () => {
  const nodes = [testNode("a", "booting"), testNode("b", "requested"), testNode("c", "draining")];
  const got = actions({ desired: [line(4)], nodes, containers: [containerOn("c")] });
  expect(got.filter((one) => one.kind === "rent")).toEqual([
    {
      kind: "rent",
      offerId: offer.offerId,
      choices: [[offer.offerId]],
      count: 2,
      reason: "demand",
    },
  ]);
});

test("nothing is rented that is refused, unknown, out of reach, or beyond the cap", () => {
  const scope = { kind: "offer", offerId: offer.offerId } as const;
  const refusals = remember([], { scope, reason: "none", nowMs: 0, firstTtlMs: 1_000 });
  const desired = [line(5)];
  const untilMs = refusals[0]?.untilMs ?? 0;
  expect(brief({ desired, refusals }, untilMs - 1)).toEqual([]);
  expect(brief({ desired, refusals }, untilMs)).toEqual([`rent 5 ${offer.offerId}`]);
  expect(brief({ desired, offers: [] })).toEqual([]);
  expect(brief({ desired, unreachableClouds: new Set(["fake"]) })).toEqual([]);
  const policy = { ...DEFAULT_POOL_POLICY, nodeCountMax: 3 };
  expect(brief({ desired, policy, nodes: [testNode("a", "draining")] })).toEqual([
    "release a",
    `rent 2 ${offer.offerId}`,
  ]);
  expect(brief({ desired: undefined })).toEqual([]);
});

test("a rent without an answer is asked for again once a listing does not have it", () => {
  const nodes = [testNode("a", "requested")];
  const desired = [line(1)];
  expect(brief({ desired, nodes }, 1)).toEqual(["resume a"]);
  const unknown = [testNode("a", "requested", { listed: "unknown" })];
  expect(brief({ desired, nodes: unknown }, 1)).toEqual([]);
});

test("a rent that leads to nothing is given up after the launch timeout and replaced", () => {
  const nowMs = DEFAULT_POOL_POLICY.launchTimeoutMs;
  const nodes = [testNode("a", "requested", { absentCount: 2 })];
  expect(brief({ desired: [line(1)], nodes }, nowMs)).toEqual([
    "abandon a",
    `rent 1 ${offer.offerId}`,
  ]);
  expect(brief({ nodes: [testNode("a", "requested", { absentCount: 1 })] }, nowMs)).toEqual([]);
});

test("a machine whose agent never registers is given back and blamed on its offer", () => {
  const nowMs = DEFAULT_POOL_POLICY.registrationTimeoutMs;
  const nodes = [testNode("a", "booting")];
  expect(actions({ nodes }, nowMs - 1)).toEqual([]);
  expect(actions({ nodes }, nowMs)).toEqual([
    {
      kind: "terminate",
      nodeId: "a",
      reason: "its agent did not register within 900 s",
      blamesOffer: true,
    },
  ]);
});

test("a silent node is lost, with everything on it, and replaced at once", () => {
  const nodes = [testNode("a", "healthy"), testNode("b", "healthy")];
  const agents = new Map([...heard(["a"], 84_999), ...heard(["b"], 85_001)]);
  const over = { desired: [line(2)], nodes, agents, containers: [containerOn("a")] };
  expect(brief(over, 100_000)).toEqual(["terminate a", `rent 1 ${offer.offerId}`]);
});

test("silence counts from when this process began to listen", () => {
  const nodes = [testNode("a", "healthy")];
  expect(brief({ nodes, watchingSinceMs: 90_000 }, 100_000)).toEqual([]);
  expect(brief({ nodes, watchingSinceMs: 90_000 }, 105_000)).toEqual(["terminate a"]);
});

test("S28: when many agents fall silent together nothing is terminated", () => {
  const silent = (count: number) =>
    Array.from({ length: count }, (_, index) => testNode(`s${index}`, "healthy"));
  const loud = Array.from({ length: 16 }, (_, index) => `h${index}`);
  const nodes = (count: number) => [
    ...silent(count),
    ...loud.map((nodeId) => testNode(nodeId, "healthy")),
  ];
  const agents = heard(loud, 99_000);
  expect(brief({ nodes: nodes(4), agents, desired: undefined }, 100_000)).toHaveLength(4);
  expect(brief({ nodes: nodes(5), agents, desired: undefined }, 100_000)).toEqual([]);
});

test("surplus nodes are drained only when empty for long enough, the longest empty first", () => {
  const nodes = ["a", "b", "c", "d"].map((nodeId) => testNode(nodeId, "healthy"));
  const nowMs = 10 * MS_PER_MINUTE;
  const agents = heard(["a", "b", "c", "d"], nowMs);
  const emptySinceMs = new Map([
    ["a", 2],
    ["b", 1],
    ["c", nowMs - 1],
    ["d", 0],
  ]);
  const over = { nodes, agents, emptySinceMs, containers: [containerOn("d")] };
  expect(brief({ ...over, desired: [line(3)] }, nowMs)).toEqual(["drain b"]);
  expect(brief({ ...over, desired: [] }, nowMs)).toEqual(["drain b", "drain a"]);
  expect(brief({ ...over, desired: undefined }, nowMs)).toEqual([]);
  expect(actions({ ...over, desired: [line(3)] }, nowMs)[0]?.reason).toBe(
    "the plan wants 3 of 4; empty for 600 s",
  );
});

test("an empty node beyond all plans of the hold goes at once, one that a plan wanted does not", () => {
  const nodes = ["a", "b", "c"].map((nodeId) => testNode(nodeId, "healthy"));
  const nowMs = 10 * MS_PER_MINUTE;
  const emptySinceMs = new Map([
    ["a", nowMs - 20_000],
    ["b", nowMs - 10_000],
  ]);
  const over = { nodes, agents: heard(["a", "b", "c"], nowMs), emptySinceMs };
  const holdMs = DEFAULT_POOL_POLICY.idleReleaseMs;
  const heldPlan = [holdMs + 60_000, holdMs - 1, 0].reduce(
    (held, agoMs, index) =>
      holdPlan(held, [line([9, 2, 1][index] ?? 0)], { nowMs: nowMs - agoMs, holdMs }),
    NO_PLAN_HELD,
  );
  const check = (memory: HeldPlan, expected: readonly string[]): void =>
    expect(brief({ ...over, heldPlan: memory, desired: [line(1)] }, nowMs)).toEqual(expected);
  check(heldPlan, ["drain a"]);
  check(holdPlan(NO_PLAN_HELD, [line(1)], { nowMs: nowMs - 1, holdMs }), []);
  check(NO_PLAN_HELD, []);
});

test("a ready node is not given up for one that still boots", () => {
  const nodes = [testNode("a", "healthy"), testNode("b", "booting")];
  const nowMs = 5 * MS_PER_MINUTE;
  const over = { nodes, agents: heard(["a"], nowMs), emptySinceMs: new Map([["a", 0]]) };
  expect(brief({ ...over, desired: [line(1)] }, nowMs)).toEqual([]);
});

test("how long draining nodes stay is said: by policy, order or reclaim, whichever is first", () => {
  const nodes = [
    testNode("a", "draining"),
    testNode("b", "draining"),
    testNode("c", "healthy"),
    testNode("d", "draining"),
  ];
  const dated = nodes.map((node) =>
    node.record.node.nodeId === "d"
      ? { ...node, record: { ...node.record, drainByMs: 7_000 } }
      : node,
  );
  const reclaimedAtMs = new Map([
    ["b", 25_000],
    ["c", 25_000],
    ["d", 25_000],
  ]);
  const snapshot = testSnapshot({ nodes: dated, reclaimedAtMs });
  const { releaseByMs } = lookAndReconcile(snapshot, 0);
  const { drainTimeoutMs } = DEFAULT_POOL_POLICY;
  expect([...releaseByMs]).toEqual([
    ["a", drainTimeoutMs],
    ["b", 15_000],
    ["d", 7_000],
  ]);
});

test("a draining node is released when empty or overdue, and again if that had no effect", () => {
  const agents = heard(["a"], 10_000);
  const busy = { agents, containers: [containerOn("a")] };
  const draining = [testNode("a", "draining")];
  expect(brief({ ...busy, nodes: draining }, 10_000)).toEqual([]);
  expect(brief({ agents, nodes: draining }, 10_000)).toEqual(["release a"]);
  const policy: PoolPolicy = { ...DEFAULT_POOL_POLICY, drainTimeoutMs: 9_000 };
  expect(brief({ ...busy, nodes: draining, policy }, 10_000)).toEqual(["release a"]);
  const sent = [testNode("a", "draining", { releasedAtMs: 9_000 })];
  expect(brief({ agents, nodes: sent }, 10_000)).toEqual([]);
  expect(brief({ agents: heard(["a"], 69_000), nodes: sent }, 69_000)).toEqual(["release a"]);
  const going = (releasedAtMs?: number) => {
    const released = releasedAtMs === undefined ? {} : { releasedAtMs };
    return [testNode("a", "draining", { listed: "terminating", ...released })];
  };
  expect(brief({ agents, nodes: going() }, 10_000)).toEqual(["release a"]);
  expect(brief({ agents, nodes: going(9_000) }, 10_000)).toEqual([]);
});

test("a node its provider takes back is drained and replaced in the same tick", () => {
  const nodes = [testNode("a", "healthy")];
  const over = { nodes, agents: heard(["a"], 1_000), reclaimedAtMs: new Map([["a", 121_000]]) };
  const got = actions({ ...over, desired: [line(1)] }, 1_000);
  expect(got.map((one) => one.kind)).toEqual(["drain", "rent"]);
  expect(got[0]?.reason).toBe("its provider takes the machine back in 120 s");
});

test("machines of ours that nobody owns are given back after a grace", () => {
  const strays = [{ cloud: "fake", providerNodeId: "m-9", launchedAtMs: 0 } as const];
  expect(brief({ strays }, MS_PER_MINUTE - 1)).toEqual([]);
  expect(brief({ strays }, MS_PER_MINUTE)).toEqual(["release-stray m-9"]);
});

test("machines that are not rented are left alone", () => {
  const nodes = [testNode("a", "healthy", { node: { cloud: "local" } })];
  expect(brief({ nodes, emptySinceMs: new Map([["a", 0]]) }, 1e9)).toEqual([]);
});

const anySnapshot = fc
  .record({
    nodes: fc.array(
      fc.record({
        state: fc.constantFrom(...NODE_STATES.filter((state) => state !== "terminated")),
        listed: fc.constantFrom("running", "absent", "unknown", "terminating"),
        absentCount: fc.nat(3),
        stateSinceMs: fc.nat(2_000_000),
        heardAtMs: fc.option(fc.nat(2_000_000), { nil: undefined }),
        emptySinceMs: fc.option(fc.nat(2_000_000), { nil: undefined }),
        occupied: fc.boolean(),
        type: fc.constantFrom("x", "y"),
      }),
      { maxLength: 12 },
    ),
    counts: fc.option(fc.tuple(fc.nat(8), fc.nat(8)), { nil: undefined }),
    nodeCountMax: fc.nat(14),
    actionCountMaxPerTick: fc.integer({ min: 1, max: 10 }),
    unreachable: fc.boolean(),
  })
  .map(({ nodes, counts, unreachable, ...policy }) => {
    const offers = ["x", "y"].map((type) => testOffer(type));
    const ids = nodes.map((_, index) => `no_${index}`);
    const filled = ids.flatMap((id, index) => ({ id, ...nodes[index]! }));
    return testSnapshot({
      offers,
      desired: counts && offers.map(({ offerId }, index) => line(counts[index]!, offerId)),
      nodes: filled.map(({ id, type, heardAtMs: _, emptySinceMs: __, occupied: ___, ...rest }) =>
        testNode(id, rest.state, { ...rest, offer: testOffer(type) }),
      ),
      agents: new Map(
        filled.flatMap(({ id, heardAtMs }) =>
          heardAtMs === undefined ? [] : [[id, { lastHeardAtMs: heardAtMs }] as const],
        ),
      ),
      emptySinceMs: new Map(
        filled.flatMap(({ id, emptySinceMs, occupied }) =>
          emptySinceMs === undefined || occupied ? [] : [[id, emptySinceMs] as const],
        ),
      ),
      containers: filled.filter((one) => one.occupied).map((one) => containerOn(one.id)),
      unreachableClouds: new Set(unreachable ? (["fake"] as const) : []),
      policy: { ...DEFAULT_POOL_POLICY, ...policy },
    });
  });

test("whatever the snapshot, the actions are bounded, each node has one, and work is spared", () => {
  fc.assert(
    fc.property(anySnapshot, fc.nat(2_000_000), (snapshot, nowMs) => {
      const got = reconcile(snapshot, nowMs);
      const { policy } = snapshot;
      expect(got.length).toBeLessThanOrEqual(policy.actionCountMaxPerTick);
      const named = got.flatMap((one) => ("nodeId" in one ? [one.nodeId] : []));
      expect(new Set(named).size).toBe(named.length);
      const rents = got.reduce((sum, one) => sum + (one.kind === "rent" ? one.count : 0), 0);
      const open = snapshot.nodes.length;
      expect(rents === 0 || open + rents <= policy.nodeCountMax).toBe(true);
      const busy = new Set(snapshot.containers.map((one) => one.nodeId));
      for (const one of got) {
        if (one.kind === "drain") expect(busy.has(one.nodeId)).toBe(false);
        if (one.kind !== "release" || !busy.has(one.nodeId)) continue;
        const { node } = snapshot.nodes.find((n) => n.record.node.nodeId === one.nodeId)!.record;
        expect(nowMs - node.stateSinceMs).toBeGreaterThanOrEqual(policy.drainTimeoutMs);
      }
      expect(reconcile(structuredClone(snapshot), nowMs)).toEqual(got);
    }),
    { numRuns: 500 },
  );
});
