/**
 * A draft out of the last plan: its nodes as far as limits allow, and on them the containers that
 * are still wanted and still allowed there. What is new is for the caller to place.
 */
import type { Draft } from "./candidate.ts";
import { withinLimits } from "./headroom.ts";
import type { LearntNodes, LearntPlan } from "./memory.ts";
import { fitCount, roomAfter, roomOf, type NodeRoom, type NodeStack } from "./packing.ts";
import type { Problem, ProblemOffer } from "./problem.ts";

/** The last plan as a draft for a new problem. */
export function recalledDraft(problem: Problem, last: LearntPlan): Draft {
  const counts = withinLimits(
    problem,
    problem.offers.map(({ offer }) => last.counts.get(offer.offerId) ?? 0),
  );
  const offerIndexes = new Map(problem.offers.map(({ offer }, index) => [offer.offerId, index]));
  const classIndexes = new Map(problem.classes.map(({ demand }, index) => [demand.classId, index]));
  const stacks = problem.input.scenarios.map(({ scenarioId }, scenarioIndex) => {
    const wanted = problem.classes.map((demand) => demand.wanted[scenarioIndex] ?? 0);
    const free = [...counts];
    return (last.stacks.get(scenarioId) ?? []).flatMap((nodes) =>
      recalledNodes(problem, { nodes, offerIndexes, classIndexes, wanted, free }),
    );
  });
  return { counts, stacks };
}

interface Recall {
  readonly nodes: LearntNodes;
  readonly offerIndexes: ReadonlyMap<string, number>;
  readonly classIndexes: ReadonlyMap<string, number>;
  /** Containers still wanted, by class; falls as they are placed. */
  readonly wanted: number[];
  /** Nodes without containers yet, by offer; falls as they are used. */
  readonly free: number[];
}

/** Alike nodes again, in two parts where demand does not suffice for all of them. */
function recalledNodes(problem: Problem, recall: Recall): readonly NodeStack[] {
  const { nodes, offerIndexes, free } = recall;
  const offerIndex = offerIndexes.get(nodes.offerId) ?? -1;
  const nodeCount = Math.min(nodes.nodeCount, free[offerIndex] ?? 0);
  if (nodeCount === 0) return [];
  take(free, offerIndex, nodeCount);
  const together = oneShape(problem, recall, offerIndex, nodeCount);
  return together.containers.size > 0 ? [together] : [];
}

/** As many of each class as all these nodes can have alike. */
function oneShape(
  problem: Problem,
  recall: Recall,
  offerIndex: number,
  nodeCount: number,
): NodeStack {
  const { nodes, classIndexes, wanted } = recall;
  const offer = problem.offers[offerIndex];
  const allowed = new Set(problem.groups[offer?.groupIndex ?? -1]?.classIndexes);
  let room = emptyRoom(offer);
  const containers = new Map<number, number>();
  for (const [classId, quantity] of nodes.containers) {
    const classIndex = classIndexes.get(classId) ?? -1;
    if (!allowed.has(classIndex)) continue;
    const needs = problem.classes[classIndex]?.needs ?? NOTHING;
    const each = Math.floor((wanted[classIndex] ?? 0) / nodeCount);
    const count = Math.min(quantity, each, fitCount(room, needs));
    if (count === 0) continue;
    room = roomAfter(room, needs, count);
    containers.set(classIndex, count);
    take(wanted, classIndex, count * nodeCount);
  }
  return { offerIndex, nodeCount, room, containers };
}

const NOTHING = { gpuCount: 0, cpuMilli: 0, memoryMiB: 0 };

function take(from: number[], index: number, amount: number): void {
  from[index] = (from[index] ?? 0) - amount;
}

function emptyRoom(entry: ProblemOffer | undefined): NodeRoom {
  return roomOf(entry?.offer.resources ?? NOTHING);
}
