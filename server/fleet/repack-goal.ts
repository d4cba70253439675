/**
 * What to move, if anything: room for one that waits comes first, then an emptied node.
 *
 * Pure. One goal at a time, since moves are carried out one after the other and the fleet goes on
 * changing meanwhile.
 */
import {
  demandClassKey,
  type ContainerRequest,
  type Node,
  type PlacedContainer,
  type SchedulerPolicy,
} from "../../core/index.ts";
import { planRepack, type RepackMove } from "../../scheduler/index.ts";

/** The fleet, and what may move in it. */
export interface RepackView {
  readonly nodes: readonly Node[];
  readonly containers: readonly PlacedContainer[];
  /** Those of the containers that can finish what they have and end. */
  readonly movableIds: ReadonlySet<string>;
  /** Containers that no node takes as it is, oldest first. */
  readonly waiting: readonly ContainerRequest[];
  /** Nodes in use of which the plan wants fewer. */
  readonly surplusNodeIds: ReadonlySet<string>;
}

/** How many of an offer the plan wants. */
export interface DesiredLine {
  readonly offerId: string;
  readonly count: number;
}

/** Moves in order, and for whom; absent: so that their node is empty. */
export interface Repack {
  readonly moves: readonly RepackMove[];
  readonly forContainerId?: string;
}

/** Kinds of waiting containers for which a plan is sought. */
const CLASSES_TRIED_MAX = 5;

/** `undefined` when nothing within the policy's budget helps. */
export function chooseRepack(view: RepackView, policy: SchedulerPolicy): Repack | undefined {
  const { moveCountMax, gpuCountMax } = policy.repack;
  const options = { policy, budget: { moveCountMax, gpuCountMax } };
  const { nodes, waiting, surplusNodeIds } = view;
  const anywhere = fleetOf(view, () => true);
  for (const request of firstOfEachClass(waiting)) {
    const { moves } = planRepack(
      { nodes, containers: anywhere },
      { kind: "place", request },
      options,
    );
    if (moves.length > 0) return { moves, forContainerId: request.containerId };
  }
  if (surplusNodeIds.size === 0) return undefined;
  const containers = fleetOf(view, (nodeId) => surplusNodeIds.has(nodeId));
  const goal = { kind: "release", nodeCountMax: 1 } as const;
  const { moves } = planRepack({ nodes, containers }, goal, options);
  return moves.length === 0 ? undefined : { moves };
}

/** The containers, of which those that can and that are on the right nodes may move. */
function fleetOf(
  { containers, movableIds }: RepackView,
  mayLeave: (nodeId: string) => boolean,
): readonly PlacedContainer[] {
  return containers.map((one) => {
    const isMovable = movableIds.has(one.containerId) && mayLeave(one.nodeId);
    return isMovable ? { ...one, movableBy: "drain" } : one;
  });
}

/**
 * Nodes of those offers of which more are in use than the plan wants, empty ones not counted: the
 * pool gives those back by itself.
 */
export function surplusNodeIds(
  nodes: readonly Node[],
  desired: readonly DesiredLine[] | undefined,
  isEmpty: (nodeId: string) => boolean,
): ReadonlySet<string> {
  if (desired === undefined) return new Set();
  const wanted = new Map(desired.map(({ offerId, count }) => [offerId, count]));
  const rented = nodes.filter(({ state, cloud }) => state === "healthy" && cloud !== "local");
  const surplus = [...Map.groupBy(rented, ({ offerId }) => offerId)].flatMap(([offerId, own]) => {
    const used = own.filter(({ nodeId }) => !isEmpty(nodeId));
    const isSurplus = offerId !== undefined && used.length > (wanted.get(offerId) ?? 0);
    return isSurplus ? used.map(({ nodeId }) => nodeId) : [];
  });
  return new Set(surplus);
}

function firstOfEachClass(waiting: readonly ContainerRequest[]): readonly ContainerRequest[] {
  const byClass = Map.groupBy(waiting, ({ needs }) => demandClassKey(needs));
  return [...byClass.values()].flatMap((own) => own.slice(0, 1)).slice(0, CLASSES_TRIED_MAX);
}
