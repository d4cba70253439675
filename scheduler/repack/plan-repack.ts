/**
 * Repacking: a migration plan for a goal, within a budget of disruption.
 *
 * Goals: room for a request that fits nowhere, or whole nodes emptied so that they can be
 * released. Only containers that say how they can be moved and what they need are moved, and
 * those that belong together or keep apart stay. The plan is a list of steps in order; each fits
 * when the ones before it are done.
 *
 * Pure: equal inputs give equal plans.
 */
import {
  DEFAULT_SCHEDULER_POLICY,
  type ContainerRequest,
  type MoveMeans,
  type PlacedContainer,
} from "../../core/index.ts";
import { ClassTable } from "../fleet/class-table.ts";
import { FleetIndex, type IndexedNode } from "../fleet/fleet-index.ts";
import { demandMixOf, type DemandMix } from "../demand.ts";
import { gpuCapacityOf } from "../place.ts";
import type { FleetSnapshot, PlaceOptions } from "../plan.ts";
import { Ranker } from "../ranker.ts";
import { strategyOf } from "../strategies/registry.ts";
import {
  emptyNode,
  makeRoom,
  type Movable,
  type MoveBudget,
  type RepackContext,
  type Step,
} from "./make-room.ts";

export type RepackGoal =
  | { readonly kind: "place"; readonly request: ContainerRequest }
  | { readonly kind: "release"; readonly nodeCountMax: number };

export interface RepackMove extends Step {
  readonly by: MoveMeans;
  readonly reason: string;
}

/** What moves, in order, and what that frees. No moves when the goal cannot be reached. */
export interface RepackPlan {
  readonly moves: readonly RepackMove[];
  /** Nodes that are empty afterwards and were not before. */
  readonly emptiedNodeIds: readonly string[];
  readonly reason: string;
}

export type RepackOptions = Pick<PlaceOptions, "policy" | "demand"> & {
  readonly budget: MoveBudget;
};

/** Plans moves towards the goal. */
export function planRepack(
  fleet: FleetSnapshot,
  goal: RepackGoal,
  options: RepackOptions,
): RepackPlan {
  const context = contextOf(fleet, options);
  return goal.kind === "place"
    ? planRoom(goal.request, { ...context, budget: options.budget })
    : planRelease(goal.nodeCountMax, { ...context, budget: options.budget });
}

interface Planning extends RepackContext {
  readonly classes: ClassTable;
  readonly byId: ReadonlyMap<string, PlacedContainer>;
  readonly budget: MoveBudget;
}

function planRoom({ containerId, needs }: ContainerRequest, planning: Planning): RepackPlan {
  const request = planning.classes.of(needs);
  if (planning.ranker.best({ request }) !== undefined) {
    return { moves: [], emptiedNodeIds: [], reason: `${containerId} fits as it is` };
  }
  const steps = makeRoom(request, planning, planning.budget);
  if (steps === undefined) {
    return {
      moves: [],
      emptiedNodeIds: [],
      reason: `no moves within the budget make room for ${containerId}`,
    };
  }
  return planOf(steps, planning, `makes room for ${containerId}`);
}

/** Empties nodes one by one, those with the least on them first, into nodes that are in use. */
function planRelease(nodeCountMax: number, planning: Planning): RepackPlan {
  const { index, budget } = planning;
  const steps: Step[] = [];
  let emptied = 0;
  const used = [...index.nodes()].filter(({ containerCount }) => containerCount > 0);
  for (const node of used.sort((a, b) => loadOf(a) - loadOf(b) || a.rank - b.rank)) {
    if (emptied >= nodeCountMax) break;
    const moved = emptyNode(node, planning, {
      budget: {
        moveCountMax: budget.moveCountMax - steps.length,
        gpuCountMax: budget.gpuCountMax - gpusMoved(steps, planning),
      },
      accepts: ({ containerCount }) => containerCount > 0,
    });
    if (moved === undefined) continue;
    steps.push(...moved);
    emptied += 1;
  }
  return planOf(steps, planning, "empties its node for release");
}

/** The largest part of any resource that is in use. */
function loadOf({ profile, ...node }: IndexedNode): number {
  const gpus =
    node.cards.reduce((sum, free) => sum + free, 0) / Math.max(1, profile.cardCount * 1e6);
  return Math.max(
    profile.cardCount > 0 ? 1 - gpus : 0,
    1 - node.cpuMilli / Math.max(1, profile.cpuMilli),
    1 - node.memoryMiB / Math.max(1, profile.memoryMiB),
  );
}

function gpusMoved(steps: readonly Step[], { byId }: Planning): number {
  return steps.reduce((sum, one) => sum + (byId.get(one.containerId)?.resources.gpuCount ?? 0), 0);
}

function planOf(steps: readonly Step[], { byId, index }: Planning, reason: string): RepackPlan {
  const moves = steps.flatMap((step) => {
    const by = byId.get(step.containerId)?.movableBy;
    return by === undefined ? [] : [{ ...step, by, reason }];
  });
  const sources = new Set(moves.map(({ fromNodeId }) => fromNodeId));
  const emptiedNodeIds = [...sources].filter((nodeId) => index.node(nodeId)?.containerCount === 0);
  const text = `${moves.length} moves, ${emptiedNodeIds.length} nodes emptied`;
  return { moves, emptiedNodeIds, reason: text };
}

function contextOf(
  fleet: FleetSnapshot,
  { policy = DEFAULT_SCHEDULER_POLICY, demand }: RepackOptions,
): Omit<Planning, "budget"> {
  const classes = new ClassTable();
  const index = new FleetIndex(fleet.nodes, fleet.containers);
  const knowledge = {
    mix: demand ?? mixOfRunning(fleet.containers, classes),
    gpuCapacity: gpuCapacityOf(fleet.nodes),
  };
  const ranker = new Ranker({ index, strategy: strategyOf(policy.strategy, knowledge) });
  const byId = new Map(fleet.containers.map((one) => [one.containerId, one]));
  const onNode = Map.groupBy(fleet.containers, ({ nodeId }) => nodeId);
  const movable = (one: PlacedContainer): readonly Movable[] => {
    if (one.movableBy === undefined || one.needs === undefined || one.ending === true) return [];
    // Those that belong together or keep apart stay where they are.
    if (one.gang !== undefined || one.spread !== undefined) return [];
    return [{ containerId: one.containerId, request: classes.of(one.needs) }];
  };
  return {
    index,
    ranker,
    classes,
    byId,
    movableOn: (nodeId) => (onNode.get(nodeId) ?? []).flatMap(movable),
  };
}

function mixOfRunning(containers: readonly PlacedContainer[], classes: ClassTable): DemandMix {
  const needs = containers.flatMap((one) => (one.needs === undefined ? [] : [one.needs]));
  return demandMixOf(needs.map((one) => [classes.of(one), 1] as const));
}
