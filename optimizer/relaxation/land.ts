/**
 * From the relaxation to a candidate: nodes are rounded, within limits, and containers made whole.
 *
 * In each scenario every group packs the whole part of what the solution gives it, the largest
 * containers first; what is left of each class goes wherever there is room, and what finds none
 * may get nodes of its own or goes unmet, whichever costs less.
 */
import type { Candidate } from "../candidate.ts";
import { completed } from "../complete-draft.ts";
import { withinLimits } from "../headroom.ts";
import { packGroup, toOffers } from "../pack-group.ts";
import type { NodeStack } from "../packing.ts";
import type { Problem } from "../problem.ts";
import type { Pair } from "./active-group.ts";
import type { RestrictedModel } from "./restricted-model.ts";

/** Parts of a container below this are rounding of the solver. */
const WHOLE = 1e-6;

/** A safe candidate near a solution; it may have idle nodes. */
export function land(model: RestrictedModel, values: Float64Array): Candidate {
  const { problem } = model;
  // Rounded fractions may break a limit.
  const counts = withinLimits(
    problem,
    problem.offers.map((_, index) => wholeCount(model.nodesOf(index, values))),
  );
  const given = wholeContainers(model, values);
  const stacks = problem.probabilities.map((_, scenarioIndex) =>
    packScenario(problem, counts, given.get(scenarioIndex) ?? []),
  );
  const draft = { counts, stacks };
  return completed(problem, draft);
}

/** What is not a number is no node. */
function wholeCount(nodes: number): number {
  const count = Math.round(nodes);
  return Number.isSafeInteger(count) ? Math.max(0, count) : 0;
}

interface Given extends Pair {
  readonly quantity: number;
}

/**
 * Whole containers by scenario: of each class as many as the solution serves, the parts by
 * largest remainder.
 */
function wholeContainers(
  model: RestrictedModel,
  values: Float64Array,
): ReadonlyMap<number, readonly Given[]> {
  const used = model.pairs.filter(({ column }) => (values[column] ?? 0) > WHOLE);
  const scenarioCount = model.problem.probabilities.length;
  const alike = Map.groupBy(
    used,
    ({ classIndex, scenarioIndex }) => classIndex * scenarioCount + scenarioIndex,
  );
  const given = [...alike.values()].flatMap((pairs) => {
    const [first] = pairs;
    const wanted = first
      ? (model.problem.classes[first.classIndex]?.wanted[first.scenarioIndex] ?? 0)
      : 0;
    const sum = pairs.reduce((total, { column }) => total + (values[column] ?? 0), 0);
    const parts = pairs.map((pair) => {
      const value = values[pair.column] ?? 0;
      const quantity = Math.floor(value + WHOLE);
      return { pair, quantity, rest: value - quantity };
    });
    // A solution may serve more than is wanted where that costs nothing.
    let open =
      Math.min(wanted, Math.round(sum)) -
      parts.reduce((total, { quantity }) => total + quantity, 0);
    parts.sort((a, b) => b.rest - a.rest || a.pair.groupIndex - b.pair.groupIndex);
    return parts.map(({ pair, quantity }): Given => {
      const extra = open > 0 ? 1 : Math.max(open < 0 ? open : 0, -quantity);
      open -= extra;
      return { ...pair, quantity: quantity + extra };
    });
  });
  return Map.groupBy(given, ({ scenarioIndex }) => scenarioIndex);
}

function packScenario(
  problem: Problem,
  counts: readonly number[],
  pairs: readonly Given[],
): readonly NodeStack[] {
  const byGroup = Map.groupBy(pairs, ({ groupIndex }) => groupIndex);
  return [...byGroup].flatMap(([groupIndex, own]) => {
    const group = problem.groups[groupIndex];
    if (!group) return [];
    const nodeCount = group.offerIndexes.reduce((sum, index) => sum + (counts[index] ?? 0), 0);
    const items = own.flatMap(({ classIndex, quantity }) => {
      const needs = problem.classes[classIndex]?.needs;
      return needs ? [{ classIndex, needs, quantity }] : [];
    });
    return toOffers(group.offerIndexes, counts, packGroup(group.resources, nodeCount, items).nodes);
  });
}
