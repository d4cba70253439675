/** Turns a candidate into the plan that others read: lines, reasons, terms, gap. */
import { totalOf, termsOf, type Candidate } from "./candidate.ts";
import { explainLine, explainUnmet } from "./explain.ts";
import type { NodeStack } from "./packing.ts";
import type { FleetPlan, NodeLayout, PlanLine, ShadowPrice } from "./plan.ts";
import type { Problem } from "./presolve.ts";
import { compareText } from "./read-input.ts";

/** What is known about a candidate besides its content. */
export interface Verdict {
  readonly solver: string;
  /** Proved lower bound of the problem's model; 0 always holds. */
  readonly boundUsd: number;
  readonly fallback: boolean;
  readonly keptFraction?: number;
  readonly shadowPrices: readonly ShadowPrice[];
  readonly solverFailures: readonly string[];
}

/** The finished plan; money rounded to micro-dollars. */
export function finishPlan(problem: Problem, candidate: Candidate, verdict: Verdict): FleetPlan {
  const exact = termsOf(problem, candidate);
  const terms = {
    rent: rounded(exact.rent),
    reclaim: rounded(exact.reclaim),
    churn: rounded(exact.churn),
    preference: rounded(exact.preference),
    unmet: rounded(exact.unmet),
  };
  const objective = rounded(totalOf(terms));
  const fixed = problem.excessUsd + problem.ruledOutUsd;
  const bound = Math.min(objective, rounded(Math.max(0, verdict.boundUsd) + fixed));
  const gapFraction = objective > 0 ? rounded((objective - bound) / objective) : 0;
  const optimal = gapFraction <= problem.input.policy.gapFraction;
  return {
    status: verdict.fallback ? "fallback" : optimal ? "optimal" : "feasible",
    solver: verdict.solver,
    offersConsidered: problem.offersConsidered,
    objectiveUsdPerHour: objective,
    boundUsdPerHour: bound,
    gapFraction,
    terms,
    lines: linesOf(problem, candidate, verdict.keptFraction),
    unmet: explainUnmet(problem, candidate),
    shadowPrices: verdict.shadowPrices,
    solverFailures: verdict.solverFailures,
  };
}

/** To whole micro-dollars, and never -0. */
export function rounded(value: number): number {
  return Math.round(value * 1e6) / 1e6 + 0;
}

function linesOf(
  problem: Problem,
  candidate: Candidate,
  keptFraction: number | undefined,
): readonly PlanLine[] {
  const planned = problem.offers.flatMap(({ offer, present }, index) => {
    const count = candidate.counts[index] ?? 0;
    if (count === 0 && present === 0) return [];
    const line: PlanLine = {
      offerId: offer.offerId,
      count,
      delta: count - present,
      priceMicroUsdPerHour: offer.priceMicroUsdPerHour,
      ...explainLine(problem, candidate, index, keptFraction),
      layouts: layoutsOf(problem, candidate, index),
    };
    return [line];
  });
  const ruledOut = problem.ruledOut.map(({ offer, count, reason }): PlanLine => ({
    offerId: offer.offerId,
    count: 0,
    delta: -count,
    priceMicroUsdPerHour: offer.priceMicroUsdPerHour,
    reason: `released: ${reason}`,
    layouts: [],
  }));
  const unknown = problem.unknown.map(({ offerId, count }): PlanLine => ({
    offerId,
    count,
    delta: 0,
    priceMicroUsdPerHour: 0,
    reason: "kept: the offer is no longer listed, so its price and size are unknown",
    layouts: [],
  }));
  return [...planned, ...ruledOut, ...unknown].sort((a, b) => compareText(a.offerId, b.offerId));
}

function layoutsOf(
  problem: Problem,
  candidate: Candidate,
  offerIndex: number,
): readonly NodeLayout[] {
  return candidate.stacks.flatMap((stacks, scenarioIndex) => {
    const scenarioId = problem.input.scenarios[scenarioIndex]?.scenarioId ?? "";
    const byContent = new Map<string, NodeLayout>();
    for (const stack of stacks) {
      if (stack.offerIndex !== offerIndex) continue;
      const containers = containersOf(problem, stack);
      const key = JSON.stringify(containers);
      const nodeCount = (byContent.get(key)?.nodeCount ?? 0) + stack.nodeCount;
      byContent.set(key, { scenarioId, nodeCount, containers });
    }
    return [...byContent.values()];
  });
}

function containersOf(problem: Problem, stack: NodeStack): NodeLayout["containers"] {
  return [...stack.containers]
    .sort(([a], [b]) => a - b)
    .map(([classIndex, quantity]) => ({
      classId: problem.classes[classIndex]?.demand.classId ?? "",
      quantity,
    }));
}
