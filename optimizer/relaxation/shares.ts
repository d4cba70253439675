/** Shares of a node that the classes of a group take. */
import { largestShare } from "../costs.ts";
import type { OfferGroup, Problem } from "../problem.ts";

/** Resources of a node that containers share. */
export const SHARED_RESOURCES = ["gpuCount", "cpuMilli", "memoryMiB"] as const;

/** What each class takes of one resource, aligned with `classIndexes`; undefined if there is none. */
export function sharesOf(
  problem: Problem,
  group: OfferGroup,
  resource: (typeof SHARED_RESOURCES)[number],
): Float64Array | undefined {
  const has = group.resources[resource];
  if (has <= 0) return undefined;
  return Float64Array.from(
    group.classIndexes,
    (index) => (problem.classes[index]?.needs[resource] ?? 0) / has,
  );
}

/** The shares of all resources that a group's nodes have, by group; each made when asked for. */
export class SharesByGroup {
  readonly #problem: Problem;
  readonly #known: (readonly Float64Array[] | undefined)[] = [];

  constructor(problem: Problem) {
    this.#problem = problem;
  }

  of(groupIndex: number): readonly Float64Array[] {
    const group = this.#problem.groups[groupIndex];
    if (!group) return [];
    return (this.#known[groupIndex] ??= SHARED_RESOURCES.flatMap(
      (name) => sharesOf(this.#problem, group, name) ?? [],
    ));
  }
}

/** The largest share of any resource, and at least one over what fits. */
export function largestSharesOf(problem: Problem, group: OfferGroup): Float64Array {
  return Float64Array.from(group.classIndexes, (index, position) => {
    const needs = problem.classes[index]?.needs;
    const byFit = 1 / Math.max(1, group.fits[position] ?? 1);
    return needs ? Math.max(byFit, largestShare(group.resources, needs)) : 1;
  });
}
