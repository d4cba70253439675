/**
 * Candidates: nodes per offer with a packing for every scenario, and what they cost.
 *
 * A candidate is safe by construction: containers sit on whole nodes, and nodes are added only
 * within capacity, quotas, budget and shares. What finds no room is unmet.
 */
import type { ObjectiveTerm } from "../core/index.ts";
import { Headroom, withinShares } from "./headroom.ts";
import { placeFirstFit, roomOf, type NodeStack } from "./packing.ts";
import type { Problem, ProblemClass } from "./presolve.ts";

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
  return placeOpen(problem, draft, undefined);
}

/**
 * Places what a draft has not placed: on its nodes first, then on the cheapest nodes that can
 * still be had and that cost less than leaving the demand unmet. Greedy, so it can be beaten.
 */
export function coverDraft(problem: Problem, draft: Draft): Candidate {
  const headroom = new Headroom(problem, draft.counts, false);
  placeOpen(problem, draft, headroom);
  const counts = withinShares(problem, headroom.counts);
  const isWhole = draft.counts.every((count, index) => (counts[index] ?? 0) >= count);
  // Nodes added for a later scenario serve the earlier ones too.
  return fillDraft(problem, isWhole ? { ...draft, counts } : { counts });
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

/** The terms of the objective, USD/h, exact up to float addition. */
export function termsOf(problem: Problem, candidate: Candidate): Record<ObjectiveTerm, number> {
  const terms: Record<ObjectiveTerm, number> = {
    rent: 0,
    committed: problem.fixed.committedUsd,
    reclaim: 0,
    churn: problem.fixed.ruledOutUsd,
    egress: 0,
    region: 0,
    preference: 0,
    concentration: concentrationUsd(problem, candidate.counts),
    unmet: unmetUsd(problem, candidate),
  };
  for (const [index, entry] of problem.offers.entries()) {
    const count = candidate.counts[index] ?? 0;
    terms.rent += entry.rentUsd * count;
    terms.reclaim += entry.reclaimUsd * count;
    terms.churn += entry.launchUsd * Math.max(0, count - entry.present);
    terms.churn += entry.releaseUsd * Math.max(0, entry.present - count);
  }
  addContainerCosts(problem, candidate, terms);
  return terms;
}

/** The sum of the terms. */
export function totalOf(terms: Readonly<Record<ObjectiveTerm, number>>): number {
  return Object.values(terms).reduce((sum, usd) => sum + usd, 0);
}

/** What a candidate costs, USD/h. */
export function costOf(problem: Problem, candidate: Candidate): number {
  return totalOf(termsOf(problem, candidate));
}

/** The cheaper of two candidates, the first when they cost the same. */
export function cheaperOf(problem: Problem, first: Candidate, second: Candidate): Candidate {
  return costOf(problem, second) < costOf(problem, first) ? second : first;
}

/** The present fleet, made smaller where a quota, the budget or a share no longer allows it. */
export function presentWithinLimits(problem: Problem): readonly number[] {
  const counts = problem.offers.map((offer) => offer.present);
  const headroom = new Headroom(
    problem,
    counts.map(() => 0),
    false,
  );
  const cheapestFirst = [...counts.keys()].sort(
    (a, b) => (problem.offers[a]?.rentUsd ?? 0) - (problem.offers[b]?.rentUsd ?? 0) || a - b,
  );
  for (const index of cheapestFirst) {
    const missing = counts[index] ?? 0;
    if (missing > 0) headroom.add(index, Math.min(missing, headroom.spare(index)));
  }
  return withinShares(problem, headroom.counts);
}

/** Places every class in every scenario; adds nodes to `headroom` if there is one. */
function placeOpen(problem: Problem, draft: Draft, headroom: Headroom | undefined): Candidate {
  const stacks: (readonly NodeStack[])[] = [];
  const unmet = problem.classes.map(({ excess }) => [...excess]);
  const order = hardestFirst(problem);
  for (const scenarioIndex of problem.probabilities.keys()) {
    const yard = new Yard(problem, headroom?.counts ?? draft.counts, draft.stacks?.[scenarioIndex]);
    for (const classIndex of order) {
      const demand = problem.classes[classIndex];
      if (!demand) continue;
      const wanted = (demand.wanted[scenarioIndex] ?? 0) - (yard.placed.get(classIndex) ?? 0);
      let open = yard.place(classIndex, wanted);
      if (headroom) open = addNodes(problem, { headroom, yard, classIndex, scenarioIndex }, open);
      const row = unmet[classIndex];
      if (row) row[scenarioIndex] = (row[scenarioIndex] ?? 0) + open;
    }
    stacks.push(yard.stacks());
  }
  return { counts: headroom ? [...headroom.counts] : draft.counts, stacks, unmet };
}

/** The nodes of one scenario while containers are placed on them. */
class Yard {
  readonly placed = new Map<number, number>();
  readonly #problem: Problem;
  readonly #byOffer = new Map<number, readonly NodeStack[]>();

  constructor(problem: Problem, counts: readonly number[], drafted: readonly NodeStack[] = []) {
    this.#problem = problem;
    for (const [offerIndex, stacks] of Map.groupBy(drafted, (stack) => stack.offerIndex)) {
      this.#byOffer.set(offerIndex, stacks);
    }
    for (const { nodeCount, containers } of drafted) {
      for (const [classIndex, quantity] of containers) {
        const before = this.placed.get(classIndex) ?? 0;
        this.placed.set(classIndex, before + nodeCount * quantity);
      }
    }
    for (const [offerIndex, count] of counts.entries()) {
      const listed = this.#byOffer.get(offerIndex) ?? [];
      const idle = count - listed.reduce((sum, { nodeCount }) => sum + nodeCount, 0);
      if (idle > 0) this.add(offerIndex, idle);
    }
  }

  /** Brings empty nodes in. */
  add(offerIndex: number, nodeCount: number): void {
    const before = this.#byOffer.get(offerIndex) ?? [];
    this.#byOffer.set(offerIndex, [...before, emptyStack(this.#problem, offerIndex, nodeCount)]);
  }

  /** Places containers where they cost least; gives how many found no room. */
  place(classIndex: number, quantity: number): number {
    const demand = this.#problem.classes[classIndex];
    let open = Math.max(0, quantity);
    if (!demand || open === 0) return open;
    for (const groupIndex of cheapestPlaces(this.#problem, demand)) {
      for (const offerIndex of this.#problem.groups[groupIndex]?.offerIndexes ?? []) {
        if (open === 0) return 0;
        open = this.placeOn(offerIndex, classIndex, open);
      }
    }
    return open;
  }

  /** Places containers on the nodes of one offer. */
  placeOn(offerIndex: number, classIndex: number, quantity: number): number {
    const stacks = this.#byOffer.get(offerIndex);
    const needs = this.#problem.classes[classIndex]?.needs;
    if (!stacks || !needs) return quantity;
    const { stacks: after, leftover } = placeFirstFit(stacks, { classIndex, needs, quantity });
    this.#byOffer.set(offerIndex, after);
    return leftover;
  }

  /** Nodes that hold something. */
  stacks(): readonly NodeStack[] {
    return [...this.#byOffer]
      .sort(([a], [b]) => a - b)
      .flatMap(([, stacks]) => stacks.filter(({ containers }) => containers.size > 0));
  }
}

/** Groups of a class, those first where its containers cost least. */
function cheapestPlaces(problem: Problem, { places }: ProblemClass): readonly number[] {
  const usd = ({ groupIndex, position }: ProblemClass["places"][number]): number =>
    problem.groups[groupIndex]?.costs[position]?.usd ?? 0;
  return [...places]
    .sort((a, b) => usd(a) - usd(b) || a.groupIndex - b.groupIndex)
    .map(({ groupIndex }) => groupIndex);
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
  readonly headroom: Headroom;
  readonly yard: Yard;
  readonly classIndex: number;
  readonly scenarioIndex: number;
}

/** Adds the cheapest nodes for a class as long as that beats leaving it unmet. */
function addNodes(problem: Problem, adding: Adding, open: number): number {
  const { headroom, yard, classIndex } = adding;
  let left = open;
  while (left > 0) {
    const addition = cheapestAddition(problem, adding, left);
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
  readonly usdPerContainer: number;
}

/** Nodes of the offer with the least cost per container, if that beats leaving them unmet. */
function cheapestAddition(
  problem: Problem,
  { headroom, classIndex, scenarioIndex }: Adding,
  leftover: number,
): Addition | undefined {
  let best: Addition | undefined;
  for (const { groupIndex, position } of problem.classes[classIndex]?.places ?? []) {
    const group = problem.groups[groupIndex];
    const fit = group?.fits[position] ?? 0;
    const extraUsd = group?.costs[position]?.usd ?? 0;
    for (const offerIndex of group?.offerIndexes ?? []) {
      const offer = problem.offers[offerIndex];
      if (!offer || fit === 0) continue;
      const nodeUsd = offer.rentUsd + offer.reclaimUsd + offer.launchUsd;
      const usdPerContainer = nodeUsd / Math.min(fit, leftover) + extraUsd;
      if (best && usdPerContainer >= best.usdPerContainer) continue;
      const spare = headroom.spare(offerIndex);
      if (spare === 0) continue;
      const nodeCount = Math.min(spare, Math.max(1, Math.floor(leftover / fit)));
      best = { offerIndex, nodeCount, usdPerContainer };
    }
  }
  const worthUsd = missedUsd(problem, classIndex, scenarioIndex, leftover);
  return best && best.usdPerContainer < worthUsd ? best : undefined;
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

function concentrationUsd(problem: Problem, counts: readonly number[]): number {
  if (problem.concentrations.length === 0) return 0;
  const gpusOf = (index: number): number =>
    (counts[index] ?? 0) * (problem.offers[index]?.offer.resources.gpuCount ?? 0);
  let all = 0;
  for (const index of counts.keys()) all += gpusOf(index);
  let usd = 0;
  for (const { freeFraction, usdPerGpu, offerIndexes } of problem.concentrations) {
    const held = offerIndexes.reduce((sum, index) => sum + gpusOf(index), 0);
    usd += usdPerGpu * Math.max(0, held - freeFraction * all);
  }
  return usd;
}

function addContainerCosts(
  problem: Problem,
  candidate: Candidate,
  terms: Record<ObjectiveTerm, number>,
): void {
  const positions = new Map<number, ReadonlyMap<number, number>>();
  const positionIn = (groupIndex: number, classIndex: number): number => {
    let known = positions.get(groupIndex);
    if (!known) {
      const list = problem.groups[groupIndex]?.classIndexes ?? [];
      known = new Map(list.map((index, position) => [index, position]));
      positions.set(groupIndex, known);
    }
    return known.get(classIndex) ?? -1;
  };
  for (const [scenarioIndex, stacks] of candidate.stacks.entries()) {
    const probability = problem.probabilities[scenarioIndex] ?? 0;
    for (const { offerIndex, nodeCount, containers } of stacks) {
      const groupIndex = problem.offers[offerIndex]?.groupIndex ?? -1;
      for (const [classIndex, quantity] of containers) {
        const position = positionIn(groupIndex, classIndex);
        const costs = problem.groups[groupIndex]?.costs[position];
        if (!costs || costs.usd === 0) continue;
        const expected = probability * nodeCount * quantity;
        terms.preference += expected * costs.preferenceUsd;
        terms.region += expected * costs.regionUsd;
        terms.egress += expected * costs.egressUsd;
      }
    }
  }
}

function unmetUsd(problem: Problem, candidate: Candidate): number {
  let sum = 0;
  for (const [classIndex, quantities] of candidate.unmet.entries()) {
    const usd = problem.classes[classIndex]?.unmetUsd ?? 0;
    for (const [scenarioIndex, quantity] of quantities.entries()) {
      sum += (problem.probabilities[scenarioIndex] ?? 0) * quantity * usd;
    }
  }
  return sum;
}
