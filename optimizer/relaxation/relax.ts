/**
 * The linear relaxation of the whole market, solved on a small part of it.
 *
 * Column and row generation: solve over the groups and pairs that looked good at first, add load
 * rows that the answer breaks, price what is missing with the duals, add what would pay, solve
 * again from the same basis. Of a market of thousands of offers only some hundreds ever matter.
 * Once nothing more would pay, loads out of patterns (pattern-loads.ts) are added a few times.
 */
import type { Problem } from "../presolve.ts";
import type { LinearSolution } from "../solvers/linear-model.ts";
import { separateLoads } from "./separate-loads.ts";
import { separatePatterns } from "./pattern-loads.ts";
import { price } from "./pricing.ts";
import type { Pair, RestrictedModel } from "./restricted-model.ts";
import { largestSharesOf } from "./shares.ts";

export type Optimal = Extract<LinearSolution, { status: "optimal" }>;

/** The relaxation, and how far it was carried. */
export interface Relaxation {
  readonly solution: Optimal;
  /** No plan costs less (but for `fixed` costs, which come on top). */
  readonly boundUsd: number;
}

export interface RelaxOptions {
  /** Milliseconds left; asked before every solve. */
  readonly leftMs: () => number;
  /** Stop once the bound is this close to the objective, as a share of it. */
  readonly toleranceFraction: number;
}

/** Groups that each class starts with; more until they hold 1.5 times what it wants. */
const FIRST_GROUPS = 8;
const FIRST_ROOM = 1.5;
const ROUNDS_MAX = 60;
const PATTERN_ROUNDS_MAX = 4;
const EPSILON = 1e-7;

/** Brings the model to the optimum of the full relaxation; undefined when the solver fails. */
export function relax(model: RestrictedModel, options: RelaxOptions): Relaxation | undefined {
  start(model);
  let best: Relaxation | undefined;
  let boundUsd = -Infinity;
  let patternRounds = 0;
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    const leftMs = options.leftMs();
    if (leftMs <= 0) return best;
    const solution = model.solve(leftMs);
    if (solution.status !== "optimal") return best;
    const broken = separateLoads(model, solution);
    const pricing = price(model, solution);
    boundUsd = Math.max(boundUsd, solution.objective + pricing.slackUsd);
    best = { solution, boundUsd };
    const gapUsd = solution.objective - boundUsd;
    const isClosed = gapUsd <= options.toleranceFraction * Math.abs(solution.objective) + EPSILON;
    if (isClosed && broken === 0) {
      if (patternRounds >= PATTERN_ROUNDS_MAX) return best;
      patternRounds += 1;
      if (separatePatterns(model, solution.values) === 0) return best;
    }
    model.activate(pricing.groups);
    model.addPairs(pricing.pairs);
  }
  return best;
}

/** Brings in the cheapest groups of every class; does nothing the second time. */
function start(model: RestrictedModel): void {
  if (model.activeGroups.size > 0) return;
  const { problem } = model;
  // Groups with present nodes are always in: what is there is to be weighed.
  const chosen = new Set<number>();
  for (const { present, groupIndex } of problem.offers) if (present > 0) chosen.add(groupIndex);
  const pairs: Omit<Pair, "column" | "classIndex">[] = [];
  const groups = problem.groups.map((group) => ({
    usd: leastNodeUsd(problem, group.offerIndexes),
    shares: largestSharesOf(problem, group),
    nodes: group.offerIndexes.reduce((sum, i) => sum + (problem.offers[i]?.countMax ?? 0), 0),
  }));
  for (const { places, wanted } of problem.classes) {
    const most = Math.max(0, ...wanted);
    if (most === 0) continue;
    const ranked = places.map(({ groupIndex, position }) => {
      const { usd = Infinity, shares } = groups[groupIndex] ?? {};
      const extraUsd = problem.groups[groupIndex]?.costs[position]?.usd ?? 0;
      return { groupIndex, position, usd: usd * (shares?.[position] ?? 1) + extraUsd };
    });
    ranked.sort((a, b) => a.usd - b.usd || a.groupIndex - b.groupIndex);
    let room = 0;
    for (const [rank, { groupIndex, position }] of ranked.entries()) {
      if (rank >= FIRST_GROUPS && room >= FIRST_ROOM * most) break;
      room += (groups[groupIndex]?.nodes ?? 0) * (problem.groups[groupIndex]?.fits[position] ?? 0);
      chosen.add(groupIndex);
      for (const scenarioIndex of problem.probabilities.keys()) {
        pairs.push({ groupIndex, position, scenarioIndex });
      }
    }
  }
  model.activate([...chosen].sort((a, b) => a - b));
  model.addPairs(pairs);
}

function leastNodeUsd(problem: Problem, offerIndexes: readonly number[]): number {
  return offerIndexes.reduce((least, index) => {
    const offer = problem.offers[index];
    if (!offer) return least;
    const moveUsd = offer.present > 0 ? -offer.releaseUsd : offer.launchUsd;
    return Math.min(least, offer.rentUsd + offer.reclaimUsd + moveUsd);
  }, Infinity);
}
