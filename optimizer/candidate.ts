/** Candidates: nodes per offer with a packing for every scenario, and what they cost. */
import type { ObjectiveTerm } from "../core/index.ts";
import { excessUsd } from "./market-rules.ts";
import type { NodeStack } from "./packing.ts";
import type { Problem } from "./problem.ts";

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

function concentrationUsd(problem: Problem, counts: readonly number[]): number {
  if (problem.concentrations.length === 0) return 0;
  const gpusOf = (index: number): number =>
    (counts[index] ?? 0) * (problem.offers[index]?.offer.resources.gpuCount ?? 0);
  let all = 0;
  for (const index of counts.keys()) all += gpusOf(index);
  let usd = 0;
  for (const part of problem.concentrations) {
    const held = part.offerIndexes.reduce((sum, index) => sum + gpusOf(index), 0);
    usd += excessUsd(part, held, all);
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
