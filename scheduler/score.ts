/**
 * Scores: which of the nodes that fit takes the container.
 *
 *     penalty(node) = sum over terms of weight(term) * term(node),   0 <= term <= 1
 *
 * The smallest penalty wins. The terms say, in falling weight: GPUs are for GPU work; CPU and
 * memory that the free GPUs of a node will need are not given away (the term on which low
 * fragmentation rests); a share goes to a card that is shared already; an empty node stays
 * empty so that it can be released; the tightest fit is taken; nodes that cannot be reclaimed
 * are kept for containers that need that.
 */
import type { ContainerNeeds, Resources } from "../core/index.ts";
import { freeCardsOf, freeGpusOf, type Room } from "./room.ts";

/** What a term sees: the node before and after the container has moved in. */
export interface Fit {
  readonly needs: ContainerNeeds;
  readonly before: Room;
  readonly after: Room;
}

export const SCORE_TERMS = [
  "cpuWorkOnGpuNode",
  "strandedGpus",
  "openedCard",
  "openedNode",
  "slack",
  "steadyNodeSpent",
] as const;

export type ScoreTerm = (typeof SCORE_TERMS)[number];

/** How much each term counts. */
export const SCORE_WEIGHTS: Readonly<Record<ScoreTerm, number>> = {
  cpuWorkOnGpuNode: 8,
  strandedGpus: 4,
  openedCard: 2,
  openedNode: 1,
  slack: 1,
  steadyNodeSpent: 0.5,
};

/**
 * The part of a node's own CPU (and memory) per GPU below which a free GPU counts as stranded:
 * GPU containers ask for less than their proportional share, and half of it serves most.
 */
const NEEDED_FRACTION_PER_GPU = 0.5;

/** The weighted sum of all terms; smaller is better. */
export function penaltyOf(fit: Fit): number {
  return SCORE_TERMS.reduce((sum, term) => sum + SCORE_WEIGHTS[term] * scoreTerm(term, fit), 0);
}

/** One term, 0..1; 0 is best. */
export function scoreTerm(term: ScoreTerm, fit: Fit): number {
  return Math.min(1, Math.max(0, TERMS[term](fit)));
}

const TERMS: Readonly<Record<ScoreTerm, (fit: Fit) => number>> = {
  /** Less bad where the GPUs are in use anyway. */
  cpuWorkOnGpuNode: ({ needs, before }) =>
    needs.gpu !== undefined || before.cardCount === 0
      ? 0
      : 0.5 + 0.5 * (freeGpusOf(before) / before.cardCount),
  strandedGpus: ({ before, after }) =>
    before.cardCount === 0 ? 0 : (strandedGpus(after) - strandedGpus(before)) / before.cardCount,
  openedCard: ({ before, after }) =>
    after.shares.length > before.shares.length && freeCardsOf(after) < freeCardsOf(before) ? 1 : 0,
  openedNode: ({ before }) => (before.containerCount === 0 ? 1 : 0),
  slack: ({ after }) => slackOf(after),
  steadyNodeSpent: ({ needs, before }) =>
    needs.preemptible && before.node.purchase !== "spot" ? 1 : 0,
};

/** Free GPUs that the free CPU and memory of the node cannot serve. */
function strandedGpus(room: Room): number {
  const { resources } = room.node;
  const served = (free: number, total: number): number =>
    total <= 0 ? 0 : (free * room.cardCount) / (total * NEEDED_FRACTION_PER_GPU);
  const servable = Math.min(
    served(room.cpuMilliFree, resources.cpuMilli),
    served(room.memoryMiBFree, resources.memoryMiB),
  );
  return Math.max(0, freeGpusOf(room) - Math.max(0, servable));
}

/** Mean free part over the resources the node has, 0..1. */
function slackOf(room: Room): number {
  const total: Resources = room.node.resources;
  const parts = [
    [freeGpusOf(room), room.cardCount],
    [room.cpuMilliFree, total.cpuMilli],
    [room.memoryMiBFree, total.memoryMiB],
  ].flatMap(([free = 0, all = 0]) => (all > 0 ? [free / all] : []));
  return parts.length === 0 ? 0 : parts.reduce((sum, part) => sum + part, 0) / parts.length;
}
