import fc from "fast-check";
import { expect, test } from "vitest";
import {
  createRng,
  resourcesOf,
  type ContainerRequest,
  type Node,
  type PlacedContainer,
} from "../core/index.ts";
import { demandMixOf } from "./demand.ts";
import { requestClassOf } from "./fleet/request-class.ts";
import { place } from "./place.ts";
import type { FleetSnapshot } from "./plan.ts";
import { Scheduler } from "./scheduler.ts";
import { anyNodes, anyRequests, holds, settled } from "./test-arbitraries.ts";
import { gpu, node, OPTIONS, request } from "./test-fleet.ts";

test("a living scheduler decides as a bare round does that knows the same", () => {
  const demand = demandMixOf([[requestClassOf(request("x", gpu(0.5)).needs), 1]]);
  fc.assert(
    fc.property(
      fc.array(fc.tuple(anyRequests, fc.nat(9)), { minLength: 1, maxLength: 4 }),
      anyNodes,
      (rounds, nodes) => {
        const living = new Scheduler({ demand });
        let fleet: FleetSnapshot = { nodes: [], containers: [] };
        for (const [round, [drawn, leave]] of rounds.entries()) {
          const requests = drawn.map((one) => ({
            ...one,
            containerId: `${round}_${one.containerId}`,
          }));
          const shown = nodes.slice(0, nodes.length - (round === 1 ? 1 : 0));
          const kept = fleet.containers.filter(
            (one, index) => index % 10 !== leave && shown.some((own) => own.nodeId === one.nodeId),
          );
          fleet = { nodes: shown, containers: kept };
          const plan = living.round(requests, fleet, OPTIONS);
          expect(place(requests, fleet, { ...OPTIONS, demand })).toEqual(plan);
          fleet = { nodes: shown, containers: settled(requests, fleet, plan) };
        }
      },
    ),
    { numRuns: 100 },
  );
});

test("nodes that join, drain, change or go are seen, and what was on them is forgotten", () => {
  const scheduler = new Scheduler();
  const round = (nodes: readonly Node[], id: string): string | undefined =>
    scheduler.round([request(id, gpu(1))], { nodes, containers: [] }, OPTIONS).placements[0]
      ?.nodeId;
  const a = node({ nodeId: "a", gpus: 1 });
  expect(round([a], "1")).toBe("a");
  expect(round([a], "2")).toBe("a");
  expect(round([{ ...a, state: "draining" }], "3")).toBeUndefined();
  expect(round([{ ...a, state: "draining" }, node({ nodeId: "b", gpus: 2 })], "4")).toBe("b");
  expect(round([a], "5")).toBe("a");
  expect(round([node({ nodeId: "a", gpus: 4 })], "6")).toBe("a");
});

test("caches follow the fleet and not its history", () => {
  const scheduler = new Scheduler();
  const rng = createRng("churn");
  const nodes = Array.from({ length: 40 }, (_, index) => node({ nodeId: `n${index}`, gpus: 4 }));
  let containers: readonly PlacedContainer[] = [];
  let largest = 0;
  for (let round = 0; round < 300; round += 1) {
    const requests = Array.from({ length: 20 }, (_, index) => ({
      ...request(`r${round}_${index}`, gpu([0.2, 0.35, 0.5, 1, 2][rng.below(5)] ?? 1)),
      needs: { ...request("x", gpu(0.25)).needs, cpuMilli: 100 + 100 * rng.below(10) },
    }));
    const plan = scheduler.round(requests, { nodes, containers }, { nowMs: round, rng });
    containers = settled(requests, { nodes, containers }, plan).filter(() => rng.next() > 0.2);
    largest = Math.max(largest, scheduler.sizes.states);
  }
  expect(largest).toBeLessThan(40 + 40 + 1_024 + 1);
  expect(scheduler.sizes.entries).toBeLessThan(10 * 4 * (2 * 40 + 64 + largest));
});

/** Agents of a fleet: each takes what fits on its node, whoever asks. */
class Agents {
  readonly #nodes: ReadonlyMap<string, Node>;
  held: readonly PlacedContainer[] = [];
  refusedCount = 0;

  constructor(nodes: readonly Node[]) {
    this.#nodes = new Map(nodes.map((one) => [one.nodeId, one]));
  }

  accepts(wanted: ContainerRequest, nodeId: string, cards: readonly number[]): boolean {
    const { containerId, functionId, needs } = wanted;
    const asked = { containerId, functionId, nodeId, cards, resources: resourcesOf(needs) };
    const here = [...this.held.filter((one) => one.nodeId === nodeId), asked];
    if (!holds(this.#nodes.get(nodeId)!, here)) {
      this.refusedCount += 1;
      return false;
    }
    this.held = [...this.held, asked];
    return true;
  }
}

test("two schedulers over one fleet never overfill it, and what was refused finds its place", () => {
  const nodes = Array.from({ length: 12 }, (_, index) => node({ nodeId: `n${index}`, gpus: 4 }));
  const agents = new Agents(nodes);
  const schedulers = [new Scheduler(), new Scheduler()];
  let pending = schedulers.map((_, side) =>
    Array.from({ length: 24 }, (_one, index): ContainerRequest => ({
      ...request(`s${side}_${String(index).padStart(2, "0")}`, gpu(1)),
    })),
  );
  let rounds = 0;
  while (pending.some((own) => own.length > 0) && rounds < 20) {
    rounds += 1;
    // Both look before either acts: neither knows what the other is about to do.
    const seen = { nodes, containers: agents.held };
    const plans = schedulers.map((scheduler, side) =>
      scheduler.round(pending[side] ?? [], seen, {
        nowMs: rounds,
        rng: createRng(`${side}/${rounds}`),
      }),
    );
    pending = pending.map((own, side) =>
      own.flatMap((one) => {
        const placed = plans[side]?.placements.find(
          (other) => other.containerId === one.containerId,
        );
        if (placed === undefined) return [one];
        if (agents.accepts(one, placed.nodeId, placed.cards)) return [];
        return [
          { ...one, excludedNodeIds: [placed.nodeId], refusalCount: (one.refusalCount ?? 0) + 1 },
        ];
      }),
    );
  }
  expect(pending.flat()).toEqual([]);
  expect(agents.held).toHaveLength(48);
  for (const own of nodes) {
    expect(
      holds(
        own,
        agents.held.filter((one) => one.nodeId === own.nodeId),
      ),
    ).toBe(true);
  }
});

test("many that were refused at once do not all go for the same next node", () => {
  const nodes = Array.from({ length: 16 }, (_, index) => node({ nodeId: `n${index}`, gpus: 8 }));
  const requests = Array.from({ length: 8 }, (_, index) => ({
    ...request(`r${index}`, gpu(1)),
    excludedNodeIds: ["n0"],
    refusalCount: 3,
  }));
  const plan = new Scheduler().round(requests, { nodes, containers: [] }, OPTIONS);
  expect(new Set(plan.placements.map(({ nodeId }) => nodeId)).size).toBeGreaterThan(3);
  expect(plan.placements.some(({ nodeId }) => nodeId === "n0")).toBe(false);
});

test("containers that came long ago are forgotten, and one that waits all along came once", () => {
  const scheduler = new Scheduler();
  const waits = request("waits", gpu(2));
  for (let round = 0; round < 500; round += 1) {
    const come = Array.from({ length: 20 }, (_, index) => request(`${round}_${index}`, gpu(1)));
    scheduler.round([waits, ...come], { nodes: [], containers: [] }, OPTIONS);
    expect(scheduler.sizes.seen).toBeLessThan(2 * 2_100);
  }
  const counts = [...scheduler.save().history.counts.values()].map(({ count }) => count);
  expect(Math.min(...counts)).toBeCloseTo(1, 3);
  expect(Math.max(...counts)).toBeGreaterThan(1_000);
});
