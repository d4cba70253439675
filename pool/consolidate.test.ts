import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  DEFAULT_CONSOLIDATION_POLICY,
  MS_PER_HOUR,
  MS_PER_MINUTE,
  type ConsolidationPolicy,
  type ContainerNeeds,
  type NodeState,
  type Offer,
  type PlacedContainer,
} from "../core/index.ts";
import {
  consolidate,
  disruptionBudget,
  mayConsolidate,
  NO_CONSOLIDATION,
  type Consolidation,
  type ConsolidationView,
  type MovableNode,
} from "./consolidate.ts";
import { lineOf } from "./test-world.ts";
import { testNode, testOffer } from "./test-pool.ts";

const dear = testOffer("dear", { priceMicroUsdPerHour: 40_000_000 });
const cheap = testOffer("cheap", { priceMicroUsdPerHour: 10_000_000 });
const NOW_MS = 10 * MS_PER_HOUR;

function nodeOf(nodeId: string, offer: Offer, state: NodeState = "healthy"): MovableNode {
  const { record } = testNode(nodeId, state, { offer });
  return { node: record.node, launchedAtMs: 0, isSound: true };
}

function container(nodeId: string, gpuCount = 1, over: Partial<ContainerNeeds> = {}) {
  const needs: ContainerNeeds = {
    gpu: { types: ["H100"], count: gpuCount },
    cpuMilli: 1_000,
    memoryMiB: 1_024,
    preemptible: true,
    ...over,
  };
  const resources = { gpuCount, cpuMilli: 1_000, memoryMiB: 1_024 };
  const placed: PlacedContainer = {
    containerId: `co_${nodeId}_${gpuCount}_${over.regions?.join() ?? ""}`,
    functionId: "fn_1",
    nodeId,
    resources,
    needs,
  };
  return placed;
}

function viewOf(
  over: Partial<Omit<ConsolidationView, "policy">> & {
    readonly policy?: Partial<ConsolidationPolicy>;
  },
): ConsolidationView {
  const { policy, ...rest } = over;
  return {
    desired: [],
    offers: [dear, cheap],
    nodes: [],
    containers: [],
    waiting: [],
    memory: NO_CONSOLIDATION,
    ...rest,
    policy: { ...DEFAULT_CONSOLIDATION_POLICY, ...policy },
  };
}

/** Looks now, and again when the second look is due. */
function afterSecondLook(view: ConsolidationView): Consolidation {
  const { memory } = consolidate(view, NOW_MS);
  return consolidate({ ...view, memory }, NOW_MS + view.policy.validateMs);
}

function movedBy({ moves }: Consolidation): readonly string[] {
  return moves.map(({ nodeId }) => nodeId);
}

const twoHalfFull = {
  nodes: [nodeOf("no_1", dear), nodeOf("no_2", dear)],
  containers: [container("no_1"), container("no_2", 2)],
  desired: [lineOf(dear, 1)],
};

describe("consolidation", () => {
  test("S27: empties the node with the least on it into what is free on the others", () => {
    const answer = afterSecondLook(viewOf({ ...twoHalfFull, containers: twoHalfFull.containers }));
    expect(movedBy(answer)).toEqual(["no_1"]);
    expect(answer.moves[0]?.reason).toContain("saves $40.00 an hour");
  });

  test("S27: looks again after 15 s, and anew when the move was not worth it in between", () => {
    const view = viewOf(twoHalfFull);
    const first = consolidate(view, NOW_MS);
    expect(first.moves).toEqual([]);
    const early = consolidate({ ...view, memory: first.memory }, NOW_MS + 14_999);
    expect(early.moves).toEqual([]);
    const full = [...view.containers, container("no_2", 6)];
    const broken = consolidate(
      { ...view, containers: full, memory: early.memory },
      NOW_MS + 15_000,
    );
    expect(broken.moves).toEqual([]);
    const after = consolidate({ ...view, memory: broken.memory }, NOW_MS + 16_000);
    expect(after.moves).toEqual([]);
    const due = consolidate({ ...view, memory: after.memory }, NOW_MS + 31_000);
    expect(movedBy(due)).toEqual(["no_1"]);
  });

  test("S27: rents the replacement first, and drains the old node when that one is healthy", () => {
    const nodes = [nodeOf("no_1", dear)];
    const containers = [container("no_1", 8)];
    const desired = [lineOf(cheap, 1)];
    const view = viewOf({ nodes, containers, desired });
    const first = consolidate(view, NOW_MS);
    expect(first.heldCountOf.get(cheap.offerId)).toBe(1);
    const due = consolidate({ ...view, memory: first.memory }, NOW_MS + 15_000);
    expect([due.moves, due.heldCountOf.size]).toEqual([[], 0]);
    for (const state of ["requested", "booting"] as const) {
      const coming = { ...view, nodes: [...nodes, nodeOf("no_2", cheap, state)] };
      const answer = consolidate({ ...coming, memory: due.memory }, NOW_MS + 20_000);
      expect([answer.moves, answer.heldCountOf.size]).toEqual([[], 0]);
    }
    const ready = { ...view, nodes: [...nodes, nodeOf("no_2", cheap)], memory: due.memory };
    expect(movedBy(consolidate(ready, NOW_MS + 60_000))).toEqual(["no_1"]);
  });

  test("S27: holds the replacement back while the saving does not beat the disruption", () => {
    const slightly = testOffer("slightly", { priceMicroUsdPerHour: 39_900_000 });
    const view = viewOf({
      offers: [dear, slightly],
      nodes: [nodeOf("no_1", dear)],
      containers: [container("no_1", 8)],
      desired: [lineOf(slightly, 1)],
    });
    const answer = afterSecondLook(view);
    expect([answer.moves, answer.heldCountOf.get(slightly.offerId)]).toEqual([[], 1]);
    const generous = { ...view, policy: { ...view.policy, horizonMs: 100 * MS_PER_HOUR } };
    expect(afterSecondLook(generous).heldCountOf.size).toBe(0);
  });

  test("S27: a replacement that a waiting container needs is never held back", () => {
    const view = viewOf({
      nodes: [nodeOf("no_1", dear)],
      containers: [container("no_1", 8)],
      desired: [lineOf(cheap, 1)],
      waiting: [container("nowhere", 4)],
      policy: { disruptionFractionMax: 0 },
    });
    expect(afterSecondLook(view).heldCountOf.size).toBe(0);
  });

  test("S27: a budget of 0, or one that is no fraction, freezes everything", () => {
    for (const disruptionFractionMax of [0, -0.1, 1.01, Number.NaN, Infinity]) {
      const view = viewOf({ ...twoHalfFull, policy: { disruptionFractionMax } });
      expect(disruptionBudget(view)).toBe(0);
      expect(afterSecondLook(view).moves).toEqual([]);
    }
  });

  test("S27: at most a tenth of the nodes is out of service, the others' drains counted", () => {
    const nodes = Array.from({ length: 21 }, (_, index) => nodeOf(`no_${index}`, dear));
    expect(disruptionBudget(viewOf({ nodes }))).toBe(3);
    const containers = nodes.map(({ node }) => container(node.nodeId));
    const view = viewOf({ nodes, containers, desired: [lineOf(dear, 3)] });
    expect(afterSecondLook(view).moves).toHaveLength(3);
    const draining = nodes.map((one, index) => ({
      ...one,
      node: { ...one.node, state: index < 2 ? ("draining" as const) : one.node.state },
    }));
    expect(afterSecondLook({ ...view, nodes: draining }).moves).toHaveLength(1);
  });

  test("S27: a node that took in moved containers is not moved itself within the period", () => {
    const view = viewOf({ ...twoHalfFull, policy: { disruptionFractionMax: 1 } });
    const moved = afterSecondLook(view);
    const later = { ...view, nodes: [nodeOf("no_2", dear), nodeOf("no_3", dear)] };
    const containers = [container("no_2", 2), container("no_3", 3)];
    const again = { ...later, containers, memory: moved.memory };
    let { memory } = again;
    for (const afterMs of [30_000, 60_000, 9 * MS_PER_MINUTE]) {
      const answer = consolidate({ ...again, memory }, NOW_MS + afterMs);
      expect(movedBy(answer)).toEqual([]);
      ({ memory } = answer);
    }
    const rested = consolidate({ ...again, memory }, NOW_MS + 11 * MS_PER_MINUTE);
    const due = consolidate({ ...again, memory: rested.memory }, NOW_MS + 12 * MS_PER_MINUTE);
    expect(movedBy(due)).toEqual(["no_2"]);
  });

  test("a node that has just come is left alone", () => {
    const young = twoHalfFull.nodes.map((one) => ({ ...one, launchedAtMs: NOW_MS - 60_000 }));
    expect(afterSecondLook(viewOf({ ...twoHalfFull, nodes: young })).moves).toEqual([]);
  });

  test("containers go only where their needs allow it, and stay when nobody knows them", () => {
    const abroad = [container("no_1", 1, { regions: ["r2"] }), container("no_2", 2)];
    expect(afterSecondLook(viewOf({ ...twoHalfFull, containers: abroad })).moves).toEqual([]);
    const unknown = twoHalfFull.containers.map((one) => {
      const { needs, ...rest } = one;
      expect(needs).toBeDefined();
      return rest;
    });
    expect(afterSecondLook(viewOf({ ...twoHalfFull, containers: unknown })).moves).toEqual([]);
  });

  test("several small nodes give way to one that is cheaper than all of them together", () => {
    const large = testOffer("large", {
      resources: { gpuCount: 16, cpuMilli: 128_000, memoryMiB: 1_048_576 },
      priceMicroUsdPerHour: 60_000_000,
    });
    const view = viewOf({
      offers: [dear, large],
      nodes: [nodeOf("no_1", dear), nodeOf("no_2", dear)],
      containers: [container("no_1", 8), container("no_2", 8)],
      desired: [lineOf(large, 1)],
    });
    const due = afterSecondLook(view);
    expect([due.moves, due.heldCountOf.size]).toEqual([[], 0]);
    const ready = { ...view, nodes: [...view.nodes, nodeOf("no_3", large)], memory: due.memory };
    expect(movedBy(consolidate(ready, NOW_MS + 60_000))).toEqual(["no_1"]);
  });

  test("without a plan, or with one that wants what is there, nothing moves", () => {
    for (const desired of [undefined, [lineOf(dear, 2)]]) {
      const answer = afterSecondLook(viewOf({ ...twoHalfFull, desired }));
      expect([answer.moves, answer.heldCountOf.size]).toEqual([[], 0]);
    }
  });

  test("whatever the fleet, moved containers have room, and the budget is kept", () => {
    const gpuCounts = fc.array(fc.integer({ min: 0, max: 8 }), { minLength: 1, maxLength: 12 });
    const cases = fc.record({
      gpuCounts,
      wantedCount: fc.integer({ min: 0, max: 12 }),
      percent: fc.integer({ min: 0, max: 100 }),
    });
    fc.assert(
      fc.property(cases, ({ gpuCounts: used, wantedCount, percent }) => {
        const nodes = used.map((_, index) => nodeOf(`no_${index}`, dear));
        const containers = used.flatMap((count, index) =>
          Array.from({ length: count }, (_, nth) => ({
            ...container(`no_${index}`),
            containerId: `co_${index}_${nth}`,
          })),
        );
        const view = viewOf({
          nodes,
          containers,
          desired: [lineOf(dear, wantedCount)],
          policy: { disruptionFractionMax: percent / 100 },
        });
        const moved = movedBy(afterSecondLook(view));
        expect(moved.length).toBeLessThanOrEqual(Math.ceil((percent / 100) * nodes.length));
        const looks = [view, { ...view, nodes: nodes.slice(0, 1) }];
        for (const look of looks) {
          const present = look.nodes.map(({ node }) => node);
          if (mayConsolidate(look.desired, present, look.containers)) continue;
          const answer = afterSecondLook(look);
          expect([answer.moves, answer.heldCountOf.size]).toEqual([[], 0]);
        }
        const gone = new Set(moved);
        const moving = containers.filter(({ nodeId }) => gone.has(nodeId)).length;
        const staying = containers.length - moving;
        expect(moving + staying).toBeLessThanOrEqual((nodes.length - moved.length) * 8);
        expect(nodes.length - moved.length).toBeGreaterThanOrEqual(
          Math.min(nodes.length, wantedCount),
        );
      }),
    );
  });
});
