/**
 * Loads out of patterns, where first-fit says that the sums lie.
 *
 * A node with little memory may hold one container of either of two classes but not one of each,
 * although GPUs, cpu and memory each add up. For the containers that a solution puts on a group,
 * all maximal patterns of one node are listed and the linear program
 *
 *   max sum_d w_d y_d   s.t.  sum_d w_d p_d <= 1 for every pattern p,  w >= 0
 *
 * gives the load that the solution breaks most, if it breaks any. Patterns grow fast with the
 * number of classes; where they are too many, containers are small and first-fit loses little.
 *
 * Other classes of the group are lifted in one by one: k containers of class d leave room for
 * others that weigh at most V_k, so any w_d <= min_k (1 - V_k) / k keeps the load valid, with the
 * classes that were lifted before it among the others. Without that the solution would only swap
 * one class for its like.
 *
 * Source: P. C. Gilmore, R. E. Gomory, A Linear Programming Approach to the Cutting-Stock
 * Problem, Operations Research 9 (1961).
 */
import { maximalPatterns, type Pattern } from "../cuts.ts";
import type { Resources } from "../../core/index.ts";
import { packGroup } from "../pack-group.ts";
import { roomAfter, roomOf } from "../packing.ts";
import { heaviestPacking, type WeightedNeeds } from "./heaviest-packing.ts";
import type { OfferGroup, Problem } from "../problem.ts";
import type { LinearModel } from "../solvers/linear-model.ts";
import type { ActiveGroup } from "./active-group.ts";
import type { RestrictedModel } from "./restricted-model.ts";

const HELD = 1e-6;
const VIOLATION = 1e-5;
const CLASS_COUNT_MAX = 12;
const SOLVE_MS = 1_000;
/** Smaller weights are not worth an entry. */
const LIFTED_MIN = 1e-4;

/** Adds the loads that a solution breaks; gives how many. */
export function separatePatterns(model: RestrictedModel, values: Float64Array): number {
  let added = 0;
  for (const active of model.activeGroups.values()) {
    for (const scenarioIndex of model.problem.probabilities.keys()) {
      const weights = brokenLoad(model, active, scenarioIndex, values);
      if (!weights) continue;
      model.addLoad(active.groupIndex, weights);
      added += 1;
    }
  }
  return added;
}

interface Held {
  readonly position: number;
  readonly classIndex: number;
  readonly amount: number;
}

function brokenLoad(
  model: RestrictedModel,
  active: ActiveGroup,
  scenarioIndex: number,
  values: Float64Array,
): Float64Array | undefined {
  const { problem } = model;
  const group = problem.groups[active.groupIndex];
  if (!group) return undefined;
  const held = heldBy(group, active, scenarioIndex, values);
  if (held.length < 2) return undefined;
  const nodes = model
    .nodeColumnsOf(active.groupIndex)
    .reduce((sum, column) => sum + (values[column] ?? 0), 0);
  if (fits(problem, group, held, Math.ceil(nodes - HELD))) return undefined;
  const most = [...held].sort((a, b) => b.amount - a.amount).slice(0, CLASS_COUNT_MAX);
  most.sort((a, b) => a.classIndex - b.classIndex);
  const patterns = maximalPatterns(
    problem,
    group,
    most.map(({ classIndex }) => classIndex),
  );
  return patterns ? heaviest(model, group, most, patterns, nodes) : undefined;
}

function heldBy(
  group: OfferGroup,
  active: ActiveGroup,
  scenarioIndex: number,
  values: Float64Array,
): readonly Held[] {
  const held: Held[] = [];
  for (const [position, column] of (active.pairColumns[scenarioIndex] ?? []).entries()) {
    const amount = column < 0 ? 0 : (values[column] ?? 0);
    if (amount > HELD) {
      held.push({ position, classIndex: group.classIndexes[position] ?? -1, amount });
    }
  }
  return held;
}

/** Whether the whole parts are easily packed on that many nodes. */
function fits(
  problem: Problem,
  group: OfferGroup,
  held: readonly Held[],
  nodeCount: number,
): boolean {
  const items = held.flatMap(({ classIndex, amount }) => {
    const needs = problem.classes[classIndex]?.needs;
    return needs ? [{ classIndex, needs, quantity: Math.floor(amount + HELD) }] : [];
  });
  return packGroup(group.resources, nodeCount, items).leftover === 0;
}

/** The load that weighs the held containers most, if they then need more nodes than there are. */
function heaviest(
  model: RestrictedModel,
  group: OfferGroup,
  held: readonly Held[],
  patterns: readonly Pattern[],
  nodes: number,
): Float64Array | undefined {
  const lp = model.open();
  try {
    const raw = solveWeights(lp, held, patterns);
    if (!raw) return undefined;
    const loadOf = (pattern: Pattern): number =>
      pattern.reduce((sum, count, index) => sum + count * (raw[index] ?? 0), 0);
    // Valid to the last digit, whatever the solver's tolerance.
    const scale = Math.max(1, ...patterns.map(loadOf));
    const weights = new Float64Array(group.classIndexes.length);
    let needed = 0;
    for (const [index, { position, amount }] of held.entries()) {
      weights[position] = (raw[index] ?? 0) / scale;
      needed += amount * (weights[position] ?? 0);
    }
    if (needed <= nodes + VIOLATION * Math.max(1, nodes)) return undefined;
    lift(model, group, weights);
    return weights;
  } finally {
    lp.close();
  }
}

/** Gives weights to the classes of the group that are in the model and have none. */
function lift(model: RestrictedModel, group: OfferGroup, weights: Float64Array): void {
  const { problem } = model;
  const active = model.activeGroups.get(problem.groups.indexOf(group));
  const needsAt = (position: number): Resources | undefined =>
    problem.classes[group.classIndexes[position] ?? -1]?.needs;
  const heavy = [...weights.keys()].filter((position) => (weights[position] ?? 0) > 0);
  const items = heavy.flatMap((position) => {
    const needs = needsAt(position);
    return needs ? [{ needs, weight: weights[position] ?? 0 }] : [];
  });
  for (const position of weights.keys()) {
    if ((weights[position] ?? 0) > 0) continue;
    if (!active?.pairColumns.some((columns) => (columns[position] ?? -1) >= 0)) continue;
    const needs = needsAt(position);
    if (!needs) continue;
    const weight = liftedWeight(group, items, needs, group.fits[position] ?? 0);
    if (weight <= LIFTED_MIN) continue;
    weights[position] = weight;
    items.push({ needs, weight });
  }
}

function liftedWeight(
  group: OfferGroup,
  items: readonly WeightedNeeds[],
  needs: Resources,
  fit: number,
): number {
  let weight = 1;
  const room = roomOf(group.resources);
  for (let count = 1; count <= fit && weight > LIFTED_MIN; count += 1) {
    const others = heaviestPacking(roomAfter(room, needs, count), items);
    if (others === undefined) return 0;
    weight = Math.min(weight, (1 - others) / count);
  }
  return Math.max(0, weight);
}

function solveWeights(
  lp: LinearModel,
  held: readonly Held[],
  patterns: readonly Pattern[],
): readonly number[] | undefined {
  lp.addColumns(
    held.map(({ amount }) => ({ cost: -amount, lower: 0, upper: 1, rows: [], values: [] })),
  );
  lp.addRows(
    patterns.map((pattern) => ({
      lower: -Infinity,
      upper: 1,
      columns: [...pattern.keys()].filter((index) => (pattern[index] ?? 0) > 0),
      values: pattern.filter((count) => count > 0),
    })),
  );
  const solution = lp.solve(SOLVE_MS);
  if (solution.status !== "optimal") return undefined;
  return Array.from(solution.values, (value) => Math.max(0, value));
}
