/** Turns a candidate into the plan that others read: lines, reasons, terms, gap. */
import { OBJECTIVE_TERMS } from "../core/index.ts";
import { termsOf, totalOf, type Candidate } from "./candidate.ts";
import { explainUnmet, LineExplainer } from "./explain.ts";
import type { NodeStack } from "./packing.ts";
import type { FleetPlan, NodeLayout, PlanLine, ShadowPrice } from "./plan.ts";
import { fixedUsdOf, type Problem } from "./problem.ts";
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
  const terms = { ...termsOf(problem, candidate) };
  for (const term of OBJECTIVE_TERMS) terms[term] = rounded(terms[term]);
  const objective = rounded(totalOf(terms));
  const bound = Math.min(objective, rounded(Math.max(0, verdict.boundUsd) + fixedUsdOf(problem)));
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
  const explainer = new LineExplainer(problem, candidate, keptFraction);
  const layouts = layoutsByOffer(problem, candidate);
  const planned = problem.offers.flatMap(({ offer, present }, index) => {
    const count = candidate.counts[index] ?? 0;
    if (count === 0 && present === 0) return [];
    const line: PlanLine = {
      offerId: offer.offerId,
      count,
      delta: count - present,
      priceMicroUsdPerHour: offer.priceMicroUsdPerHour,
      ...explainer.explain(index),
      layouts: layouts.get(index) ?? [],
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

function layoutsByOffer(
  problem: Problem,
  candidate: Candidate,
): ReadonlyMap<number, readonly NodeLayout[]> {
  const byOffer = new Map<number, NodeLayout[]>();
  for (const [scenarioIndex, stacks] of candidate.stacks.entries()) {
    const scenarioId = problem.input.scenarios[scenarioIndex]?.scenarioId ?? "";
    for (const [offerIndex, own] of Map.groupBy(stacks, (stack) => stack.offerIndex)) {
      const byContent = new Map<string, NodeLayout>();
      for (const stack of own) {
        const containers = containersOf(problem, stack);
        const key = JSON.stringify(containers);
        const nodeCount = (byContent.get(key)?.nodeCount ?? 0) + stack.nodeCount;
        byContent.set(key, { scenarioId, nodeCount, containers });
      }
      byOffer.set(offerIndex, [...(byOffer.get(offerIndex) ?? []), ...byContent.values()]);
    }
  }
  return byOffer;
}

function containersOf(problem: Problem, stack: NodeStack): NodeLayout["containers"] {
  return [...stack.containers]
    .sort(([a], [b]) => a - b)
    .map(([classIndex, quantity]) => ({
      classId: problem.classes[classIndex]?.demand.classId ?? "",
      quantity,
    }));
}
