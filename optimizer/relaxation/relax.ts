/**
 * The linear relaxation of the whole market, solved on a small part of it.
 *
 * Column and row generation: solve over the groups and pairs that looked good at first, add load
 * rows that the answer breaks, price what is missing with the duals, add what would pay, solve
 * again from the same basis. Of a market of thousands of offers only some hundreds ever matter.
 * Once nothing more would pay, loads out of patterns (pattern-loads.ts) are added a few times.
 */
import type { OfferGroup, Problem, ProblemClass } from "../problem.ts";
import { groupNameOf, type LearntPlan } from "../memory.ts";
import { separateLoads } from "./separate-loads.ts";
import { separatePatterns } from "./pattern-loads.ts";
import { price } from "./pricing.ts";
import type { Pair } from "./active-group.ts";
import type { RestrictedModel, Optimal } from "./restricted-model.ts";
import { largestSharesOf } from "./shares.ts";

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
  /** What the last plan found worth a try. */
  readonly last?: LearntPlan;
}

/** Groups that each class starts with; more until they hold 1.5 times what it wants. */
const FIRST_GROUPS = 8;
const FIRST_ROOM = 1.5;
/** Cheapest groups besides what was learnt. */
const LEARNT_FIRST_GROUPS = 2;
const ROUNDS_MAX = 60;
const EPSILON = 1e-7;

/** Loads out of patterns tighten the bound; on large markets by less than they cost. */
const PATTERN_ROUNDS = 4;
const PATTERN_PAIR_COUNT_MAX = 4_000;

function patternRoundsFor({ pairs }: RestrictedModel): number {
  return pairs.length <= PATTERN_PAIR_COUNT_MAX ? PATTERN_ROUNDS : 0;
}

/** Brings the model to the optimum of the full relaxation; undefined when the solver fails. */
export function relax(model: RestrictedModel, options: RelaxOptions): Relaxation | undefined {
  start(model, options.last);
  let best: Relaxation | undefined;
  let boundUsd = -Infinity;
  let patternRounds = 0;
  let lastUsd = Infinity;
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
    const toleranceUsd = options.toleranceFraction * Math.abs(solution.objective) + EPSILON;
    // Broken loads are worth another round only where they moved the objective lately.
    const isSteady = broken === 0 || Math.abs(solution.objective - lastUsd) <= 0.1 * toleranceUsd;
    lastUsd = solution.objective;
    if (gapUsd <= toleranceUsd && isSteady) {
      if (patternRounds >= patternRoundsFor(model)) return best;
      patternRounds += 1;
      if (separatePatterns(model, solution.values) === 0) return best;
    }
    model.activate(pricing.groups);
    model.addPairs(pricing.pairs);
  }
  return best;
}

/** Brings in what the last plan used and the cheapest groups of every class; does nothing the second time. */
function start(model: RestrictedModel, last: LearntPlan | undefined): void {
  if (model.activeGroups.size > 0) return;
  const { problem } = model;
  // Groups with present nodes are always in: what is there is to be weighed.
  const chosen = new Set<number>();
  for (const { present, groupIndex } of problem.offers) if (present > 0) chosen.add(groupIndex);
  const supplies = problem.groups.map((group) => supplyOf(problem, group));
  const pairs: Omit<Pair, "column" | "classIndex">[] = [];
  const learnt = last ? learntPlaces(problem, last) : undefined;
  for (const [classIndex, demand] of problem.classes.entries()) {
    const known = learnt?.get(classIndex) ?? [];
    for (const { groupIndex, position } of [
      ...known,
      ...firstPlaces(problem, supplies, demand).slice(
        0,
        known.length > 0 ? LEARNT_FIRST_GROUPS : undefined,
      ),
    ]) {
      chosen.add(groupIndex);
      for (const scenarioIndex of problem.probabilities.keys()) {
        pairs.push({ groupIndex, position, scenarioIndex });
      }
    }
  }
  model.activate([...chosen].sort((a, b) => a - b));
  model.addPairs(pairs);
}

/** By class: the places that the last plan found worth a try. */
function learntPlaces(
  problem: Problem,
  { classIdsByGroup }: LearntPlan,
): ReadonlyMap<number, ProblemClass["places"]> {
  const places = new Map<number, { groupIndex: number; position: number }[]>();
  for (const [groupIndex, group] of problem.groups.entries()) {
    const known = new Set(classIdsByGroup.get(groupNameOf(problem, group)));
    if (known.size === 0) continue;
    for (const [position, classIndex] of group.classIndexes.entries()) {
      if (!known.has(problem.classes[classIndex]?.demand.classId ?? "")) continue;
      const own = places.get(classIndex) ?? [];
      own.push({ groupIndex, position });
      places.set(classIndex, own);
    }
  }
  return places;
}

interface Supply {
  /** Of the cheapest node. */
  readonly usd: number;
  /** Of a node that a container of each class takes. */
  readonly shares: Float64Array;
  readonly nodeCount: number;
}

function supplyOf(problem: Problem, group: OfferGroup): Supply {
  return {
    usd: leastNodeUsd(problem, group.offerIndexes),
    shares: largestSharesOf(problem, group),
    nodeCount: group.offerIndexes.reduce((sum, i) => sum + (problem.offers[i]?.countMax ?? 0), 0),
  };
}

/** The cheapest places of a class, as many as make a good start. */
function firstPlaces(
  problem: Problem,
  supplies: readonly Supply[],
  { places, wanted }: ProblemClass,
): ProblemClass["places"] {
  const most = Math.max(0, ...wanted);
  if (most === 0) return [];
  const ranked = places.flatMap((place) => {
    const group = problem.groups[place.groupIndex];
    const supply = supplies[place.groupIndex];
    if (!group || !supply) return [];
    const extraUsd = group.costs[place.position]?.usd ?? 0;
    const usd = supply.usd * (supply.shares[place.position] ?? 1) + extraUsd;
    return [{ place, usd, room: supply.nodeCount * (group.fits[place.position] ?? 0) }];
  });
  ranked.sort((a, b) => a.usd - b.usd || a.place.groupIndex - b.place.groupIndex);
  let room = 0;
  const enough = ranked.findIndex((one, rank) => {
    const isEnough = rank >= FIRST_GROUPS && room >= FIRST_ROOM * most;
    room += one.room;
    return isEnough;
  });
  return ranked.slice(0, enough < 0 ? ranked.length : enough).map(({ place }) => place);
}

function leastNodeUsd(problem: Problem, offerIndexes: readonly number[]): number {
  return offerIndexes.reduce((least, index) => {
    const offer = problem.offers[index];
    if (!offer) return least;
    const moveUsd = offer.present > 0 ? -offer.releaseUsd : offer.launchUsd;
    return Math.min(least, offer.rentUsd + offer.reclaimUsd + moveUsd);
  }, Infinity);
}
