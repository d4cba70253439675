/**
 * Candidates: nodes per offer with a packing for every scenario, and what they cost.
 *
 * A candidate is safe by construction: containers sit on whole nodes, and nodes are added only
 * within capacity, quotas and budget. What finds no room is unmet.
 */
import type { PlanTerm } from "./plan.ts";
import { placeFirstFit, roomOf, type NodeStack } from "./packing.ts";
import type { Problem, ProblemOffer } from "./presolve.ts";

export interface Candidate {
  /** Nodes per offer. */
  readonly counts: readonly number[];
  /** By scenario: how the containers sit; nodes that are not listed are idle. */
  readonly stacks: readonly (readonly NodeStack[])[];
  /** By class and scenario, with the demand that the presolve took out. */
  readonly unmet: readonly (readonly number[])[];
}

/** Packings to start from; classes that are not in them are still to be placed. */
export interface Draft {
  readonly counts: readonly number[];
  /** By scenario; absent means empty nodes. */
  readonly stacks?: readonly (readonly NodeStack[])[];
}

/** Empty nodes of one offer. */
export function emptyStack(problem: Problem, offerIndex: number, nodeCount: number): NodeStack {
  const resources = problem.offers[offerIndex]?.offer.resources;
  return {
    offerIndex,
    nodeCount,
    room: roomOf(resources ?? { gpuCount: 0, cpuMilli: 0, memoryMiB: 0 }),
    containers: new Map(),
  };
}

/** Places what a draft has not placed on the nodes that it has. */
export function fillDraft(problem: Problem, draft: Draft): Candidate {
  return placeOpen(problem, draft, false);
}

/**
 * Places what a draft has not placed: on its nodes first, then on the cheapest nodes that can
 * still be had and that cost less than leaving the demand unmet. Greedy, so it can be beaten.
 */
export function coverDraft(problem: Problem, draft: Draft): Candidate {
  const { counts } = placeOpen(problem, draft, true);
  // Nodes added for a later scenario serve the earlier ones too.
  return fillDraft(problem, { ...draft, counts });
}

function placeOpen(problem: Problem, draft: Draft, mayAdd: boolean): Candidate {
  const counts = [...draft.counts];
  const stacks: (readonly NodeStack[])[] = [];
  const unmet = problem.classes.map((demand) => [...demand.excess]);
  for (const scenarioIndex of problem.probabilities.keys()) {
    let placed: readonly NodeStack[] = withAllNodes(problem, counts, draft.stacks?.[scenarioIndex]);
    for (const classIndex of hardestFirst(problem)) {
      const open = openQuantity(problem, classIndex, scenarioIndex, placed);
      const filled = fillClass(
        problem,
        { classIndex, scenarioIndex, open, counts, mayAdd },
        placed,
      );
      placed = filled.stacks;
      const row = unmet[classIndex];
      if (row) row[scenarioIndex] = (row[scenarioIndex] ?? 0) + filled.leftover;
    }
    stacks.push(placed.filter((stack) => stack.containers.size > 0));
  }
  return { counts, stacks, unmet };
}

/** How many more nodes of an offer fit under its capacity, its quotas and the budget. */
export function nodesToSpare(
  problem: Problem,
  counts: readonly number[],
  offerIndex: number,
): number {
  const offer = problem.offers[offerIndex];
  if (!offer) return 0;
  let spare = offer.countMax - (counts[offerIndex] ?? 0);
  for (const { limit, offerIndexes } of problem.quotas) {
    if (!offerIndexes.includes(offerIndex)) continue;
    spare = Math.min(spare, limit - sumOf(offerIndexes, (index) => counts[index] ?? 0));
  }
  if (problem.budgetUsd !== undefined && offer.rentUsd > 0) {
    const left = problem.budgetUsd - rentOf(problem, counts);
    spare = Math.min(spare, Math.floor(left / offer.rentUsd + 1e-9));
  }
  return Math.max(0, spare);
}

/** The terms of the objective, USD/h, exact up to float addition. */
export function termsOf(problem: Problem, candidate: Candidate): Record<PlanTerm, number> {
  const { counts } = candidate;
  const perNode = (costOf: (offer: ProblemOffer) => number): number =>
    sumOf([...problem.offers.keys()], (index) => {
      const offer = problem.offers[index];
      return offer ? costOf(offer) * (counts[index] ?? 0) : 0;
    });
  const moves = sumOf([...problem.offers.keys()], (index) =>
    Math.abs((counts[index] ?? 0) - (problem.offers[index]?.present ?? 0)),
  );
  return {
    rent: rentOf(problem, counts),
    reclaim: perNode((offer) => offer.reclaimUsd),
    churn: moves * problem.churnUsd + problem.ruledOutUsd,
    preference: preferenceOf(problem, candidate),
    unmet: unmetOf(problem, candidate),
  };
}

/** The cheaper of two candidates, the first when they cost the same. */
export function cheaperOf(problem: Problem, first: Candidate, second: Candidate): Candidate {
  const usdOf = (candidate: Candidate): number => totalOf(termsOf(problem, candidate));
  return usdOf(second) < usdOf(first) ? second : first;
}

/** The sum of the terms. */
export function totalOf(terms: Readonly<Record<PlanTerm, number>>): number {
  return terms.rent + terms.reclaim + terms.churn + terms.preference + terms.unmet;
}

/** The present fleet, made smaller where a quota or the budget no longer allows it. */
export function presentWithinLimits(problem: Problem): readonly number[] {
  const counts = problem.offers.map((offer) => offer.present);
  const dearestFirst = [...counts.keys()].sort(
    (a, b) => (problem.offers[b]?.rentUsd ?? 0) - (problem.offers[a]?.rentUsd ?? 0) || a - b,
  );
  for (const { limit, offerIndexes } of problem.quotas) {
    let over = sumOf(offerIndexes, (index) => counts[index] ?? 0) - limit;
    for (const index of dearestFirst.filter((each) => offerIndexes.includes(each))) {
      const released = Math.max(0, Math.min(over, counts[index] ?? 0));
      counts[index] = (counts[index] ?? 0) - released;
      over -= released;
    }
  }
  for (const index of dearestFirst) {
    const over = problem.budgetUsd === undefined ? 0 : rentOf(problem, counts) - problem.budgetUsd;
    const rentUsd = problem.offers[index]?.rentUsd ?? 0;
    if (over <= 1e-9 || rentUsd === 0) continue;
    counts[index] = Math.max(0, (counts[index] ?? 0) - Math.ceil(over / rentUsd - 1e-9));
  }
  return counts;
}

function withAllNodes(
  problem: Problem,
  counts: readonly number[],
  stacks: readonly NodeStack[] = [],
): readonly NodeStack[] {
  const idle = counts.flatMap((count, offerIndex) => {
    const listed = sumOf(stacks, (stack) =>
      stack.offerIndex === offerIndex ? stack.nodeCount : 0,
    );
    return count > listed ? [emptyStack(problem, offerIndex, count - listed)] : [];
  });
  return [...stacks, ...idle];
}

/** Classes with the fewest offers first, then the largest: the ones that fit nowhere else. */
function hardestFirst(problem: Problem): readonly number[] {
  const size = (index: number): number => {
    const needs = problem.classes[index]?.needs;
    return needs ? needs.gpuCount * 1e9 + needs.cpuMilli + needs.memoryMiB : 0;
  };
  const choices = (index: number): number => problem.classes[index]?.groupIndexes.length ?? 0;
  return [...problem.classes.keys()].sort(
    (a, b) => choices(a) - choices(b) || size(b) - size(a) || a - b,
  );
}

function openQuantity(
  problem: Problem,
  classIndex: number,
  scenarioIndex: number,
  placed: readonly NodeStack[],
): number {
  const wanted = problem.classes[classIndex]?.wanted[scenarioIndex] ?? 0;
  return (
    wanted - sumOf(placed, (stack) => stack.nodeCount * (stack.containers.get(classIndex) ?? 0))
  );
}

interface Filling {
  readonly classIndex: number;
  readonly scenarioIndex: number;
  readonly open: number;
  /** Grows when nodes are added. */
  readonly counts: number[];
  readonly mayAdd: boolean;
}

function fillClass(
  problem: Problem,
  filling: Filling,
  placed: readonly NodeStack[],
): { readonly stacks: readonly NodeStack[]; readonly leftover: number } {
  const { classIndex, counts, open } = filling;
  const demand = problem.classes[classIndex];
  if (!demand || open <= 0) return { stacks: placed, leftover: 0 };
  const mayUse = (offerIndex: number): boolean =>
    demand.groupIndexes.includes(problem.offers[offerIndex]?.groupIndex ?? -1);
  const what = { classIndex, needs: demand.needs, mayUse };
  let { stacks, leftover } = placeFirstFit(placed, { ...what, quantity: open });
  while (filling.mayAdd && leftover > 0) {
    const addition = cheapestAddition(problem, filling, leftover);
    if (!addition) break;
    counts[addition.offerIndex] = (counts[addition.offerIndex] ?? 0) + addition.nodeCount;
    const fresh = emptyStack(problem, addition.offerIndex, addition.nodeCount);
    const added = placeFirstFit([fresh], { ...what, quantity: leftover });
    stacks = [...stacks, ...added.stacks];
    leftover = added.leftover;
  }
  return { stacks, leftover };
}

interface Addition {
  readonly offerIndex: number;
  readonly nodeCount: number;
}

/** Nodes of the offer with the least cost per container, if that beats leaving them unmet. */
function cheapestAddition(
  problem: Problem,
  filling: Filling,
  leftover: number,
): Addition | undefined {
  let best: PricedAddition | undefined;
  for (const groupIndex of problem.classes[filling.classIndex]?.groupIndexes ?? []) {
    const group = problem.groups[groupIndex];
    const fit = group?.fits[group.classIndexes.indexOf(filling.classIndex)] ?? 0;
    for (const offerIndex of group?.offerIndexes ?? []) {
      best = cheaperAddition(problem, filling.counts, { offerIndex, fit, leftover }, best);
    }
  }
  const { classIndex, scenarioIndex } = filling;
  const worthUsd = missedUsd(problem, classIndex, scenarioIndex, leftover);
  return best && best.usdPerContainer < worthUsd ? best : undefined;
}

interface PricedAddition extends Addition {
  readonly usdPerContainer: number;
}

function cheaperAddition(
  problem: Problem,
  counts: readonly number[],
  from: { readonly offerIndex: number; readonly fit: number; readonly leftover: number },
  best: PricedAddition | undefined,
): PricedAddition | undefined {
  const { offerIndex, fit, leftover } = from;
  const offer = problem.offers[offerIndex];
  if (!offer || fit === 0) return best;
  const nodeUsd = offer.rentUsd + offer.reclaimUsd + problem.churnUsd;
  const usdPerContainer = nodeUsd / Math.min(fit, leftover);
  if (best && usdPerContainer >= best.usdPerContainer) return best;
  const spare = nodesToSpare(problem, counts, offerIndex);
  if (spare === 0) return best;
  const nodeCount = Math.min(spare, Math.max(1, Math.floor(leftover / fit)));
  return { offerIndex, nodeCount, usdPerContainer };
}

/** Expected price of one more unmet container: it is missed in every scenario that wants as many. */
function missedUsd(
  problem: Problem,
  classIndex: number,
  scenarioIndex: number,
  leftover: number,
): number {
  const demand = problem.classes[classIndex];
  if (!demand) return 0;
  const level = (demand.wanted[scenarioIndex] ?? 0) - leftover;
  const probability = sumOf([...problem.probabilities.keys()], (index) =>
    (demand.wanted[index] ?? 0) > level ? (problem.probabilities[index] ?? 0) : 0,
  );
  return probability * demand.unmetUsd;
}

function rentOf(problem: Problem, counts: readonly number[]): number {
  return sumOf(
    [...problem.offers.keys()],
    (index) => (problem.offers[index]?.rentUsd ?? 0) * (counts[index] ?? 0),
  );
}

function preferenceOf(problem: Problem, candidate: Candidate): number {
  let sum = 0;
  for (const [scenarioIndex, stacks] of candidate.stacks.entries()) {
    const probability = problem.probabilities[scenarioIndex] ?? 0;
    for (const { offerIndex, nodeCount, containers } of stacks) {
      const group = problem.groups[problem.offers[offerIndex]?.groupIndex ?? -1];
      for (const [classIndex, quantity] of containers) {
        const usd = group?.preferenceUsd[group.classIndexes.indexOf(classIndex)] ?? 0;
        sum += probability * nodeCount * quantity * usd;
      }
    }
  }
  return sum;
}

function unmetOf(problem: Problem, candidate: Candidate): number {
  let sum = 0;
  for (const [classIndex, quantities] of candidate.unmet.entries()) {
    const unmetUsd = problem.classes[classIndex]?.unmetUsd ?? 0;
    for (const [scenarioIndex, quantity] of quantities.entries()) {
      sum += (problem.probabilities[scenarioIndex] ?? 0) * quantity * unmetUsd;
    }
  }
  return sum;
}

function sumOf<T>(items: readonly T[], valueOf: (item: T) => number): number {
  return items.reduce((sum, item) => sum + valueOf(item), 0);
}
