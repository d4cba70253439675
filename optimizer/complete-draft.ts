/**
 * From a draft to a candidate that is safe by construction: containers sit on whole nodes, and
 * nodes are added only within capacity, quotas, budget and shares. What finds no room is unmet.
 */
import { cheaperOf, type Candidate, type Draft } from "./candidate.ts";
import { Headroom, withinLimits, withinShares } from "./headroom.ts";
import type { Problem } from "./problem.ts";
import { Yard } from "./yard.ts";

/**
 * Places what a draft has not placed on the nodes that it has.
 *
 * @param classIndexes Classes to place; what others miss is unmet. Absent means all.
 */
export function fillDraft(
  problem: Problem,
  draft: Draft,
  classIndexes?: ReadonlySet<number>,
): Candidate {
  return placeOpen(problem, draft, undefined, classIndexes);
}

/**
 * Places what a draft has not placed: on its nodes first, then on the cheapest nodes that can
 * still be had and that cost less than leaving the demand unmet. Greedy, so it can be beaten.
 *
 * @param heedShares True: nodes are added only where no share rule is against it; false: they are
 *                   added anyway, and others given up in the end, which suits a fleet that has
 *                   hardly any nodes yet.
 */
export function coverDraft(problem: Problem, draft: Draft, heedShares = false): Candidate {
  const headroom = new Headroom(problem, draft.counts, heedShares);
  placeOpen(problem, draft, headroom);
  const counts = withinShares(problem, headroom.counts);
  const isWhole = draft.counts.every((count, index) => (counts[index] ?? 0) >= count);
  // Nodes added for a later scenario serve the earlier ones too.
  const covered = fillDraft(problem, isWhole ? { ...draft, counts } : { counts });
  if (heedShares || problem.shares.length === 0) return covered;
  // What was given up for a share may be had where no share is against it.
  return cheaperOf(problem, covered, coverDraft(problem, { counts }, true));
}

/** The cheapest way to complete a draft: with no more nodes, or with some for what is missing. */
export function completed(problem: Problem, draft: Draft): Candidate {
  const filled = fillDraft(problem, draft);
  const isServed = filled.unmet.every((row, classIndex) =>
    row.every((quantity, index) => quantity <= (problem.classes[classIndex]?.excess[index] ?? 0)),
  );
  if (isServed) return filled;
  const covered = cheaperOf(problem, filled, coverDraft(problem, draft, true));
  return problem.shares.length === 0
    ? covered
    : cheaperOf(problem, covered, coverDraft(problem, draft));
}

/** Gives up nodes that no scenario uses, the dearest first, where that saves and rules allow. */
export function withoutIdle(problem: Problem, candidate: Candidate): Candidate {
  const used = candidate.counts.map(() => 0);
  for (const stacks of candidate.stacks) {
    const inScenario = new Map<number, number>();
    for (const { offerIndex, nodeCount } of stacks) {
      inScenario.set(offerIndex, (inScenario.get(offerIndex) ?? 0) + nodeCount);
    }
    for (const [offerIndex, nodes] of inScenario) {
      used[offerIndex] = Math.max(used[offerIndex] ?? 0, nodes);
    }
  }
  const headroom = new Headroom(problem, candidate.counts);
  const savedBy = (index: number): number => {
    const offer = problem.offers[index];
    if (!offer) return 0;
    const isLaunched = (headroom.counts[index] ?? 0) > offer.present;
    return offer.rentUsd + offer.reclaimUsd + (isLaunched ? offer.launchUsd : -offer.releaseUsd);
  };
  const idle = candidate.counts
    .flatMap((count, index) => (count > (used[index] ?? 0) ? [index] : []))
    .sort((a, b) => savedBy(b) - savedBy(a) || a - b);
  for (const index of idle) {
    const least = used[index] ?? 0;
    while ((headroom.counts[index] ?? 0) > least && savedBy(index) > 0) {
      if (!headroom.mayRemove(index)) break;
      headroom.add(index, -1);
    }
  }
  return { ...candidate, counts: [...headroom.counts] };
}

/** The present fleet, made smaller where a quota, the budget or a share no longer allows it. */
export function presentWithinLimits(problem: Problem): readonly number[] {
  return withinLimits(
    problem,
    problem.offers.map((offer) => offer.present),
  );
}

/** Places every class in every scenario; adds nodes to `headroom` if there is one. */
function placeOpen(
  problem: Problem,
  draft: Draft,
  headroom: Headroom | undefined,
  classIndexes?: ReadonlySet<number>,
): Candidate {
  const order = hardestFirst(problem);
  const scenarios = [...problem.probabilities.keys()].map((scenarioIndex) => {
    const counts = headroom?.counts ?? draft.counts;
    const yard = new Yard(problem, counts, draft.stacks?.[scenarioIndex]);
    const open = new Map(
      order.map((classIndex) => {
        const isPlaced = classIndexes?.has(classIndex) ?? true;
        const left = placeClass(problem, yard, { classIndex, scenarioIndex, isPlaced });
        const adding = { headroom, yard, classIndex, scenarioIndex };
        return [classIndex, addNodes(problem, adding, left)] as const;
      }),
    );
    return { open, stacks: yard.stacks() };
  });
  return {
    counts: headroom ? [...headroom.counts] : draft.counts,
    stacks: scenarios.map(({ stacks }) => stacks),
    unmet: problem.classes.map(({ excess }, classIndex) =>
      scenarios.map(({ open }, index) => (excess[index] ?? 0) + (open.get(classIndex) ?? 0)),
    ),
  };
}

/** Places what a scenario still wants of a class, if it is to; gives how many have no room. */
function placeClass(
  problem: Problem,
  yard: Yard,
  of: { readonly classIndex: number; readonly scenarioIndex: number; readonly isPlaced: boolean },
): number {
  const wanted = problem.classes[of.classIndex]?.wanted[of.scenarioIndex] ?? 0;
  const open = Math.max(0, wanted - (yard.placed.get(of.classIndex) ?? 0));
  return of.isPlaced ? yard.place(of.classIndex, open) : open;
}

/** Classes with the fewest places first, then the largest: the ones that fit nowhere else. */
function hardestFirst(problem: Problem): readonly number[] {
  const size = (index: number): number => {
    const needs = problem.classes[index]?.needs;
    return needs ? needs.gpuCount * 1e9 + needs.cpuMilli + needs.memoryMiB : 0;
  };
  const choices = (index: number): number => problem.classes[index]?.places.length ?? 0;
  return [...problem.classes.keys()].sort(
    (a, b) => size(b) - size(a) || choices(a) - choices(b) || a - b,
  );
}

interface Adding {
  /** Absent: no nodes may be added. */
  readonly headroom: Headroom | undefined;
  readonly yard: Yard;
  readonly classIndex: number;
  readonly scenarioIndex: number;
}

/** Adds the cheapest nodes for a class as long as that beats leaving it unmet. */
function addNodes(problem: Problem, adding: Adding, open: number): number {
  const { headroom, yard, classIndex } = adding;
  let left = open;
  while (headroom && left > 0) {
    const addition = cheapestAddition(problem, { ...adding, headroom }, left);
    if (!addition) break;
    headroom.add(addition.offerIndex, addition.nodeCount);
    yard.add(addition.offerIndex, addition.nodeCount);
    const after = yard.placeOn(addition.offerIndex, classIndex, left);
    if (after === left) break;
    left = after;
  }
  return left;
}

interface Addition {
  readonly offerIndex: number;
  readonly nodeCount: number;
}

/** Nodes of the offer with the least cost per container, if that beats leaving them unmet. */
function cheapestAddition(
  problem: Problem,
  { headroom, classIndex, scenarioIndex }: Adding & { readonly headroom: Headroom },
  leftover: number,
): Addition | undefined {
  let leastUsd = missedUsd(problem, classIndex, scenarioIndex, leftover);
  let best: Addition | undefined;
  for (const place of problem.classes[classIndex]?.places ?? []) {
    const group = problem.groups[place.groupIndex];
    if (!group) continue;
    const fit = group.fits[place.position] ?? 0;
    const extraUsd = group.costs[place.position]?.usd ?? 0;
    for (const offerIndex of group.offerIndexes) {
      const usdPerContainer = launchedUsd(problem, offerIndex) / Math.min(fit, leftover) + extraUsd;
      if (usdPerContainer >= leastUsd) continue;
      const spare = headroom.spare(offerIndex);
      if (spare === 0) continue;
      const nodeCount = Math.min(spare, Math.max(1, Math.floor(leftover / fit)));
      best = { offerIndex, nodeCount };
      leastUsd = usdPerContainer;
    }
  }
  return best;
}

/** What one more node of an offer costs. */
function launchedUsd(problem: Problem, offerIndex: number): number {
  const offer = problem.offers[offerIndex];
  return offer ? offer.rentUsd + offer.reclaimUsd + offer.launchUsd : Infinity;
}

/** Expected price of one more unmet container: missed in every scenario that wants as many. */
function missedUsd(
  problem: Problem,
  classIndex: number,
  scenarioIndex: number,
  leftover: number,
): number {
  const demand = problem.classes[classIndex];
  if (!demand) return 0;
  const level = (demand.wanted[scenarioIndex] ?? 0) - leftover;
  let probability = 0;
  for (const [index, share] of problem.probabilities.entries()) {
    if ((demand.wanted[index] ?? 0) > level) probability += share;
  }
  return probability * demand.unmetUsd;
}
