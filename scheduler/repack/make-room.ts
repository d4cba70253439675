/**
 * Making room: which containers move so that a request fits, or so that a node is empty.
 *
 * On each node that would hold the request, the containers that would have to go are found,
 * those on the emptiest cards first; nodes are tried in the order of what would move (GPUs,
 * then containers), and the first one whose containers all find a place elsewhere is taken.
 * Containers move one after the other, the largest first, each to the best node by the
 * strategy, so every step of the plan fits when it is made.
 *
 * A local search and not a program to be solved: it looks at one node at a time, so it misses
 * exchanges between several. O(nodes * containers on each) and a placement for each move.
 */
import { failedProfileStage } from "../feasibility.ts";
import type { FleetIndex, IndexedNode } from "../fleet/fleet-index.ts";
import type { Taken } from "../fleet/lay-out.ts";
import { fewestLeaving, fitsWithout } from "../fleet/leaving.ts";
import type { RequestClass } from "../fleet/request-class.ts";
import type { Ranker } from "../ranker.ts";

/** A container that may move. */
export interface Movable {
  readonly containerId: string;
  readonly request: RequestClass;
}

/** One container that moves; `cards` are those of the new node. */
export interface Step {
  readonly containerId: string;
  readonly fromNodeId: string;
  readonly toNodeId: string;
  readonly cards: readonly number[];
}

/** What moving may cost. */
export interface MoveBudget {
  readonly moveCountMax: number;
  /** GPUs that moving containers hold, in all. */
  readonly gpuCountMax: number;
}

export interface RepackContext {
  readonly index: FleetIndex;
  readonly ranker: Ranker;
  /** Containers on a node that may move. */
  readonly movableOn: (nodeId: string) => readonly Movable[];
}

/** Nodes whose containers are tried to be moved for one request. */
const TRIED_COUNT_MAX = 24;

interface Departing extends Movable {
  readonly taken: Taken;
}

interface Candidate {
  readonly node: IndexedNode;
  readonly leaving: readonly Departing[];
  readonly gpuCount: number;
}

/**
 * Moves containers so that the request fits on some node. The index then holds the moves; when
 * nothing helps it is as before and the answer is `undefined`.
 */
export function makeRoom(
  request: RequestClass,
  context: RepackContext,
  budget: MoveBudget,
): readonly Step[] | undefined {
  const candidates = [...context.index.nodes()]
    .flatMap((node) => candidateOf(node, request, context))
    .filter(({ leaving, gpuCount }) => isWithin(budget, leaving.length, gpuCount))
    .sort(byDisruption)
    .slice(0, TRIED_COUNT_MAX);
  for (const candidate of candidates) {
    const steps = moveAll(candidate, context, () => true);
    if (steps !== undefined) return steps;
  }
  return undefined;
}

/** Moves everything off a node, to nodes that `accepts` takes; `undefined` when it cannot be. */
export function emptyNode(
  node: IndexedNode,
  context: RepackContext,
  options: { readonly budget: MoveBudget; readonly accepts: (node: IndexedNode) => boolean },
): readonly Step[] | undefined {
  const leaving = departingFrom(node, context);
  const gpuCount = gpusOf(leaving);
  if (leaving.length < node.containerCount) return undefined;
  if (!isWithin(options.budget, leaving.length, gpuCount)) return undefined;
  return moveAll({ node, leaving, gpuCount }, context, options.accepts);
}

function candidateOf(
  node: IndexedNode,
  request: RequestClass,
  context: RepackContext,
): readonly Candidate[] {
  if (failedProfileStage(node.profile, request) !== undefined) return [];
  if (node.profile.cardCount < Math.max(request.cardCount, Math.sign(request.share))) return [];
  const order = departingFrom(node, context);
  if (!fitsWithout(node, order, request)) return [];
  const leaving = fewestLeaving(node, order, { request });
  return leaving === undefined ? [] : [{ node, leaving, gpuCount: gpusOf(leaving) }];
}

/** Those on the emptiest cards first, then those without GPUs, the largest first. */
function departingFrom(
  node: IndexedNode,
  { index, movableOn }: RepackContext,
): readonly Departing[] {
  const freeBeside = ({ taken }: Departing): number => {
    const [card] = taken.cards;
    return card === undefined ? -1 : (node.cards[card] ?? 0);
  };
  return movableOn(node.node.nodeId)
    .flatMap((one) => {
      const taken = index.residence(one.containerId)?.taken;
      return taken === undefined ? [] : [{ ...one, taken }];
    })
    .sort(
      (a, b) =>
        freeBeside(b) - freeBeside(a) ||
        (a.taken.cards[0] ?? 0) - (b.taken.cards[0] ?? 0) ||
        b.taken.cpuMilli - a.taken.cpuMilli ||
        (a.containerId < b.containerId ? -1 : 1),
    );
}

/** Moves all or nothing. */
function moveAll(
  { node, leaving }: Candidate,
  context: RepackContext,
  accepts: (node: IndexedNode) => boolean,
): readonly Step[] | undefined {
  const { index, ranker } = context;
  const fromNodeId = node.node.nodeId;
  const done: { readonly step: Step; readonly taken: Taken }[] = [];
  for (const { containerId, request, taken } of leaving.toSorted(bySize)) {
    const best = ranker.best({
      request,
      accepts: (other) => other.node.nodeId !== fromNodeId && accepts(other),
    });
    if (best === undefined) {
      for (const { step, taken: before } of done.toReversed()) {
        index.dismiss(step.containerId);
        index.admit(step.containerId, { nodeId: fromNodeId, taken: before });
      }
      return undefined;
    }
    const toNodeId = best.node.node.nodeId;
    const takenThere = ranker.takenBy(request, best);
    index.dismiss(containerId);
    index.admit(containerId, { nodeId: toNodeId, taken: takenThere });
    done.push({ step: { containerId, fromNodeId, toNodeId, cards: takenThere.cards }, taken });
  }
  return done.map(({ step }) => step);
}

function isWithin(budget: MoveBudget, moveCount: number, gpuCount: number): boolean {
  return moveCount <= budget.moveCountMax && gpuCount <= budget.gpuCountMax;
}

function gpusOf(leaving: readonly Departing[]): number {
  return leaving.reduce((sum, { request }) => sum + request.gpuCount, 0);
}

function byDisruption(one: Candidate, other: Candidate): number {
  return (
    one.gpuCount - other.gpuCount ||
    one.leaving.length - other.leaving.length ||
    one.node.rank - other.node.rank
  );
}

function bySize(one: Departing, other: Departing): number {
  return (
    other.request.gpuCount - one.request.gpuCount ||
    other.request.cpuMilli - one.request.cpuMilli ||
    (one.containerId < other.containerId ? -1 : 1)
  );
}
