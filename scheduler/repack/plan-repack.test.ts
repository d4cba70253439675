import fc from "fast-check";
import { expect, test } from "vitest";
import {
  resourcesOf,
  type ContainerNeeds,
  type Node,
  type PlacedContainer,
} from "../../core/index.ts";
import { place } from "../place.ts";
import type { FleetSnapshot } from "../plan.ts";
import { anyNodes, anyRequests, holds, holdsOneMore, meets, settled } from "../test-arbitraries.ts";
import { gpu, needs, node, OPTIONS, request } from "../test-fleet.ts";
import { planRepack, type RepackPlan } from "./plan-repack.ts";

const BUDGET = { moveCountMax: 10, gpuCountMax: 8 };

function held(
  containerId: string,
  nodeId: string,
  over: Partial<ContainerNeeds>,
  cards?: number[],
) {
  const wanted = needs(over);
  return {
    containerId,
    functionId: "f",
    nodeId,
    needs: wanted,
    resources: resourcesOf(wanted),
    movableBy: "snapshot" as const,
    ...(cards === undefined ? {} : { cards }),
  };
}

/** The fleet after the moves, each of which must fit when it is made. */
function moved(fleet: FleetSnapshot, plan: RepackPlan): readonly PlacedContainer[] {
  let containers = fleet.containers;
  const byId = new Map(fleet.nodes.map((one) => [one.nodeId, one]));
  for (const { containerId, fromNodeId, toNodeId, cards } of plan.moves) {
    containers = containers.map((one) => {
      if (one.containerId !== containerId) return one;
      expect(one.nodeId).toBe(fromNodeId);
      expect(one.movableBy).toBeDefined();
      return { ...one, nodeId: toNodeId, cards };
    });
    const target = byId.get(toNodeId)!;
    expect(
      holds(
        target,
        containers.filter((one) => one.nodeId === toNodeId),
      ),
    ).toBe(true);
    const own = containers.find((one) => one.containerId === containerId)!;
    expect(meets(target, own.needs!)).toBe(true);
  }
  return containers;
}

test("small containers move together so that a large request finds a whole node", () => {
  const nodes = ["a", "b", "c"].map((nodeId) => node({ nodeId, gpus: 4 }));
  const containers = [
    held("1", "a", gpu(1)),
    held("2", "b", gpu(2)),
    held("3", "c", gpu(2)),
    held("4", "c", { cpuMilli: 1_000 }),
  ];
  const wanted = request("big", gpu(4));
  const plan = planRepack(
    { nodes, containers },
    { kind: "place", request: wanted },
    { budget: BUDGET },
  );
  expect(plan.moves.map((one) => [one.containerId, one.fromNodeId, one.by])).toEqual([
    ["1", "a", "snapshot"],
  ]);
  const after = moved({ nodes, containers }, plan);
  expect(place([wanted], { nodes, containers: after }, OPTIONS).placements[0]?.nodeId).toBe("a");
});

test("what cannot be moved, belongs to a gang or keeps apart stays, and so does the rest", () => {
  const nodes = ["a", "b"].map((nodeId) => node({ nodeId, gpus: 4 }));
  const goal = { kind: "place", request: request("big", gpu(4)) } as const;
  const rigid = [
    { movableBy: undefined },
    { needs: undefined },
    { gang: { gangId: "g", size: 1, within: "zone" } },
    { spread: { key: "s", apart: "node" } },
    { ending: true },
  ];
  for (const over of rigid) {
    const containers = ["a", "b"].map((nodeId) => ({ ...held(nodeId, nodeId, gpu(1)), ...over }));
    const fleet = { nodes, containers: containers as readonly PlacedContainer[] };
    expect(planRepack(fleet, goal, { budget: BUDGET }).moves).toEqual([]);
  }
});

test("nothing moves for what fits as it is, nor beyond the budget", () => {
  const nodes = ["a", "b"].map((nodeId) => node({ nodeId, gpus: 4 }));
  const containers = [held("1", "a", gpu(2)), held("2", "b", gpu(2))];
  const check = (count: number, budget: typeof BUDGET): number => {
    const goal = { kind: "place", request: request("c", gpu(count)) } as const;
    return planRepack({ nodes, containers }, goal, { budget }).moves.length;
  };
  expect(check(2, BUDGET)).toBe(0);
  expect(check(4, BUDGET)).toBe(1);
  expect(check(4, { ...BUDGET, gpuCountMax: 1 })).toBe(0);
  expect(check(4, { ...BUDGET, moveCountMax: 0 })).toBe(0);
});

test("lightly used nodes are emptied for release, into nodes that are in use", () => {
  const nodes = ["a", "b", "c", "d"].map((nodeId) => node({ nodeId, gpus: 4 }));
  const containers = [held("1", "a", gpu(3)), held("2", "b", gpu(1)), held("3", "c", gpu(2))];
  const goal = { kind: "release", nodeCountMax: 2 } as const;
  const plan = planRepack({ nodes, containers }, goal, { budget: BUDGET });
  expect(plan.emptiedNodeIds).toEqual(["b"]);
  expect(plan.moves[0]?.toNodeId).toBe("a");
  expect(plan.moves[0]?.reason).toBe("empties its node for release");
});

test("every step fits when it is made, the goal is reached, and the budget holds", () => {
  const anyGoal = fc.constantFrom(1, 2, 4, 8);
  fc.assert(
    fc.property(anyRequests, anyNodes, anyGoal, (requests, drawn, count) => {
      const nodes: readonly Node[] = drawn.map((one) => ({ ...one, state: "healthy" }));
      const empty = { nodes, containers: [] };
      const containers = settled(requests, empty, place(requests, empty, OPTIONS)).map((one) => ({
        ...one,
        movableBy: "drain" as const,
      }));
      const fleet = { nodes, containers };
      const wanted = request("big", gpu(count, "H100", "L4"));
      const room = planRepack(fleet, { kind: "place", request: wanted }, { budget: BUDGET });
      const after = moved(fleet, room);
      if (room.moves.length > 0) {
        const fits = nodes.some(
          (own) =>
            meets(own, wanted.needs) &&
            holdsOneMore(
              own,
              after.filter((one) => one.nodeId === own.nodeId),
              wanted.needs,
            ),
        );
        expect(fits).toBe(true);
      }
      const release = planRepack(fleet, { kind: "release", nodeCountMax: 3 }, { budget: BUDGET });
      const left = moved(fleet, release);
      for (const nodeId of release.emptiedNodeIds) {
        expect(left.some((one) => one.nodeId === nodeId)).toBe(false);
      }
      for (const { moves } of [room, release]) {
        const gpus = moves.reduce((sum, { containerId }) => {
          return (
            sum + containers.find((one) => one.containerId === containerId)!.resources.gpuCount
          );
        }, 0);
        expect(moves.length).toBeLessThanOrEqual(BUDGET.moveCountMax);
        expect(gpus).toBeLessThanOrEqual(BUDGET.gpuCountMax);
      }
    }),
    { numRuns: 150 },
  );
});
