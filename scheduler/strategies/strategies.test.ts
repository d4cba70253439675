import fc from "fast-check";
import { expect, test } from "vitest";
import { STRATEGY_NAMES, type GpuType, type StrategyName } from "../../core/index.ts";
import { demandMixOf, DemandHistory } from "../demand.ts";
import { failedProfileStage, hasRoom } from "../feasibility.ts";
import { FleetIndex } from "../fleet/fleet-index.ts";
import { requestClassOf, type RequestClass } from "../fleet/request-class.ts";
import { gpuCapacityOf, place } from "../place.ts";
import { Ranker } from "../ranker.ts";
import { anyNeeds, anyNodes, anyRequests, settled } from "../test-arbitraries.ts";
import { gpu, needs, node, OPTIONS } from "../test-fleet.ts";
import { FragmentationTable } from "./fragmentation.ts";
import { normalLoss } from "./potential/normal-loss.ts";
import { remainderWaste } from "./potential/remainder.ts";
import { scarcityPrices } from "./potential/scarcity.ts";
import { strategyOf } from "./registry.ts";
import { PENALTY_MAX } from "./strategy.ts";

const mixOf = (...all: [Parameters<typeof needs>[0], number][]) =>
  demandMixOf(all.map(([over, count]) => [requestClassOf(needs(over)), count] as const));

test("penalties are bounded and are the sum of their terms, wherever a request fits", () => {
  fc.assert(
    fc.property(anyRequests, anyNodes, anyNeeds, (requests, nodes, wanted) => {
      const empty = { nodes, containers: [] };
      const index = new FleetIndex(
        nodes,
        settled(requests, empty, place(requests, empty, OPTIONS)),
      );
      const mix = demandMixOf(requests.map((one) => [requestClassOf(one.needs), 1] as const));
      const request = requestClassOf(wanted);
      for (const name of STRATEGY_NAMES) {
        const strategy = strategyOf(name, { mix, gpuCapacity: gpuCapacityOf(nodes) });
        for (const state of index.active()) {
          if (failedProfileStage(state.profile, request) !== undefined) continue;
          if (!hasRoom(state, request)) continue;
          const penalty = strategy.penalty(request, state);
          const terms = Object.values(strategy.terms(request, state));
          expect(Math.abs(penalty)).toBeLessThan(PENALTY_MAX);
          expect(terms.reduce((sum, term) => sum + term, 0)).toBeCloseTo(penalty, 6);
          if (request.share === 0) continue;
          expect(state.cards[strategy.cardFor(request, state)]).toBeGreaterThanOrEqual(
            request.share,
          );
        }
      }
    }),
    { numRuns: 100 },
  );
});

test("the index keeps up with a fleet that churns, exactly", () => {
  const step = fc.tuple(anyNeeds, fc.boolean(), fc.nat());
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 120 }),
      anyNodes,
      fc.constantFrom(...STRATEGY_NAMES),
      (steps, nodes, name) => {
        const index = new FleetIndex(nodes, []);
        const mix = demandMixOf(steps.map(([wanted]) => [requestClassOf(wanted), 1] as const));
        const strategy = strategyOf(name, { mix, gpuCapacity: gpuCapacityOf(nodes) });
        const fast = new Ranker({ index, strategy });
        const full = new Ranker({ index, strategy, search: "full" });
        const on: string[] = [];
        for (const [at, [wanted, leaves, who]] of steps.entries()) {
          const request = requestClassOf(wanted);
          const best = fast.best({ request });
          const slow = full.best({ request });
          expect([best?.node.node.nodeId, best?.total]).toEqual([
            slow?.node.node.nodeId,
            slow?.total,
          ]);
          const [leaving] = leaves ? on.splice(who % Math.max(1, on.length), 1) : [];
          if (best !== undefined) {
            const taken = fast.takenBy(request, best);
            index.admit(String(at), { nodeId: best.node.node.nodeId, taken });
            on.push(String(at));
          }
          if (leaving !== undefined) index.dismiss(leaving);
        }
      },
    ),
    { numRuns: 150 },
  );
});

function firstNode(
  name: StrategyName,
  fleet: FleetIndex,
  request: RequestClass,
): string | undefined {
  const strategy = strategyOf(name, { mix: [], gpuCapacity: new Map() });
  return new Ranker({ index: fleet, strategy }).best({ request })?.node.node.nodeId;
}

test("each strategy has its own idea of the best node", () => {
  const nodes = [
    node({ nodeId: "a", gpus: 4 }),
    node({ nodeId: "b", gpus: 8 }),
    node({ nodeId: "c", gpus: 8 }),
  ];
  const containers = ["1", "2", "3"].map((containerId) => ({
    containerId,
    functionId: "f",
    nodeId: "b",
    resources: { gpuCount: 1, cpuMilli: 8_000, memoryMiB: 1 },
  }));
  const index = new FleetIndex(nodes, containers);
  const request = requestClassOf(needs({ ...gpu(1), cpuMilli: 1_000 }));
  expect(firstNode("best-fit", index, request)).toBe("a");
  expect(firstNode("packing", index, request)).toBe("b");
  expect(firstNode("spread", index, request)).toBe("c");
  expect(firstNode("dot-product", index, request)).toBe("a");
  expect(firstNode("default", index, request)).toBeDefined();
});

test("fragmentation is the sum that the paper defines", () => {
  const types: GpuType[] = ["H100", "L4"];
  const anyCards: fc.Arbitrary<number[]> = fc.array(
    fc.constantFrom(0, 190_000, 530_000, 1_000_000),
    { maxLength: 5 },
  );
  fc.assert(
    fc.property(
      fc.array(fc.tuple(anyNeeds, fc.integer({ min: 1, max: 9 })), { minLength: 1, maxLength: 8 }),
      anyCards,
      fc.constantFrom(0, 500, 1_000, 5_000, 64_000),
      fc.constantFrom(...types),
      (drawn, cards, cpuMilli, type) => {
        const classes = drawn.map(([wanted, weight]) => ({
          share: { request: requestClassOf(wanted), fraction: 0 },
          weight,
        }));
        const table = new FragmentationTable(type, classes);
        const row = table.rowOf(cpuMilli);
        const idle = cards.reduce((sum, free) => sum + free / 1e6, 0);
        const wholeFree = cards.filter((free) => free === 1e6).length;
        const fast =
          cards.reduce((sum, free) => sum + table.ofCard(row, free), 0) +
          table.ofNode(row, idle, wholeFree);
        const slow = classes.reduce((sum, { share: { request }, weight }) => {
          const need = request.share > 0 ? request.share : 1e6;
          const count = Math.max(1, request.cardCount);
          const runs =
            request.gpuCount > 0 &&
            (request.preferenceOf?.has(type) ?? false) &&
            request.cpuMilli <= cpuMilli &&
            cards.filter((free) => free >= need).length >= count;
          const small = cards
            .filter((free) => free < need)
            .reduce((total, free) => total + free / 1e6, 0);
          return sum + weight * (runs ? small : idle);
        }, 0);
        expect(fast).toBeCloseTo(slow, 9);
      },
    ),
    { numRuns: 300 },
  );
});

test("the loss of the normal is right at known points and at its ends", () => {
  expect(normalLoss(0)).toBeCloseTo(0.398942, 5);
  expect(normalLoss(1)).toBeCloseTo(0.083315, 5);
  expect(normalLoss(-1)).toBeCloseTo(1.083315, 5);
  expect([normalLoss(50), normalLoss(-50)]).toEqual([0, 50]);
});

test("a remainder is wasted unless something common fits it", () => {
  const lone = remainderWaste(mixOf([gpu(0.81), 9], [gpu(1), 1]));
  expect(lone[190]).toBeCloseTo(0.19, 9);
  expect([lone[0], lone[1_000]]).toEqual([0, 0]);
  const filled = remainderWaste(mixOf([gpu(0.81), 5], [gpu(0.19), 5]));
  expect(filled[190]).toBeLessThan(0.01);
  for (const waste of [lone, filled]) {
    for (const [milli, value] of waste.entries()) {
      expect(value).toBeGreaterThanOrEqual(0);
      expect(value).toBeLessThanOrEqual(milli / 1_000 + 1e-12);
    }
  }
});

test("a type has a price only when somebody can use no other", () => {
  const capacity = new Map<GpuType, number>([
    ["H100", 10],
    ["L4", 30],
  ]);
  const free = scarcityPrices(mixOf([gpu(1, "H100", "L4"), 1]), capacity);
  expect(free.size).toBe(0);
  const bound = scarcityPrices(mixOf([gpu(1, "H100"), 1], [gpu(1, "H100", "L4"), 3]), capacity);
  expect(bound.get("H100")).toBeCloseTo(1, 9);
  expect(bound.get("L4")).toBeUndefined();
});

test("history asks to be learned from as it grows, while the mix moves", () => {
  const dueOf = (cpuMilliAt: (count: number) => number): readonly number[] => {
    const history = new DemandHistory();
    return Array.from({ length: 100 }, (_, index) => index + 1).filter((count) => {
      history.observe(requestClassOf(needs({ cpuMilli: cpuMilliAt(count) })));
      return history.isDue();
    });
  };
  expect(dueOf(() => 1)).toEqual([1]);
  expect(dueOf((count) => count)).toEqual([1, 2, 3, 5, 8, 12, 18, 27, 41, 62, 93]);
  expect(dueOf((count) => count % 2).slice(-1)[0]).toBeLessThan(20);
});

test("history fades and is bounded", () => {
  const history = new DemandHistory();
  for (let count = 0; count < 100; count += 1) history.observe(requestClassOf(needs(gpu(1))));
  const later = (classCount: number): void => {
    for (let count = 0; count < 60_000; count += 1) {
      history.observe(requestClassOf(needs({ cpuMilli: count % classCount })));
    }
  };
  later(50);
  const ofGpus = history.mix().find(({ request }) => request.gpuCount === 1);
  expect(ofGpus?.fraction).toBeLessThan(100 / 60_100 / 2);
  later(5_000);
  const mix = history.mix();
  expect(mix.length).toBeLessThanOrEqual(4_096 + 1);
  expect(mix.reduce((sum, { fraction }) => sum + fraction, 0)).toBeCloseTo(1, 9);
});
