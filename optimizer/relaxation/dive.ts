/**
 * From fractions of nodes to whole ones: the dearest nodes first.
 *
 * A fraction of a large node is a waste to round up, as a smaller node at a slightly higher price
 * per GPU can hold the rest. So nodes are fixed tier by tier, from the dearest down: what is
 * nearly whole is rounded up, the rest down, the tier is closed, and the program, solved again
 * from the same basis, moves what is left over to smaller nodes. Containers stay fractions:
 * making them whole is left to packing and to improve/, which do it with less loss. The program
 * stays feasible, as demand may always go unmet; roundings up that contradict a limit are taken
 * back.
 */
import type { RestrictedModel, Optimal } from "./restricted-model.ts";
import { separateLoads } from "./separate-loads.ts";

const ROUNDS_MAX = 40;
const WHOLE = 1e-6;
const SEPARATIONS_MAX = 6;

export interface DiveOptions {
  readonly leftMs: () => number;
  /** Fractions from this on are rounded up, 0..1. */
  readonly up: number;
  /** Least price of a tier as a share of its highest, 0..1. */
  readonly tier: number;
}

interface NodeColumn {
  readonly column: number;
  readonly usd: number;
  readonly upper: number;
  fixed: boolean;
}

/**
 * A solution with whole nodes; undefined when time is up or the solver fails. The model has its
 * own bounds again afterwards.
 */
export function dive(
  model: RestrictedModel,
  from: Optimal,
  options: DiveOptions,
): Optimal | undefined {
  try {
    return diveTiers(model, from, options);
  } finally {
    model.resetBounds();
  }
}

function diveTiers(
  model: RestrictedModel,
  from: Optimal,
  options: DiveOptions,
): Optimal | undefined {
  const columns = nodeColumns(model);
  let solution = from;
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    const { values } = solution;
    const open = columns.filter(({ column, fixed }) => !fixed && !isWhole(values[column] ?? 0));
    const dearest = Math.max(0, ...open.map(({ usd }) => usd));
    const tier = columns.filter(({ usd, fixed }) => !fixed && usd >= options.tier * dearest);
    const next = closeTier(model, tier, values, options);
    if (!next) return undefined;
    solution = next;
    if (open.length === 0) return solution;
  }
  return undefined;
}

function nodeColumns(model: RestrictedModel): readonly NodeColumn[] {
  return model.problem.offers.flatMap((offer, index) => {
    const usd = offer.rentUsd + offer.reclaimUsd;
    const { present, countMax } = offer;
    const kept = model.keptColumns[index] ?? -1;
    const launched = model.launchedColumns[index] ?? -1;
    return [
      { column: kept, usd, upper: present, fixed: model.isKept(kept) },
      {
        column: launched,
        usd,
        upper: countMax - present,
        fixed: model.isKept(launched),
      },
    ].filter(({ column }) => column >= 0);
  });
}

function isWhole(value: number): boolean {
  return Math.abs(value - Math.round(value)) <= WHOLE;
}

/** Fixes a tier: nearly whole ones up, others down; all down where up contradicts a limit. */
function closeTier(
  model: RestrictedModel,
  tier: readonly NodeColumn[],
  values: Float64Array,
  options: DiveOptions,
): Optimal | undefined {
  for (const threshold of [options.up, Infinity]) {
    model.fix(
      tier.map(({ column, upper }) => {
        const count = Math.min(upper, roundedBy(values[column] ?? 0, threshold));
        return { column, lower: count, upper: count };
      }),
    );
    const solution = solveWhole(model, options.leftMs);
    if (!solution) continue;
    for (const one of tier) one.fixed = true;
    return solution;
  }
  return undefined;
}

function roundedBy(value: number, threshold: number): number {
  const floor = Math.floor(value + WHOLE);
  return value - floor >= threshold ? floor + 1 : floor;
}

/** Solves until no load is broken. */
function solveWhole(model: RestrictedModel, leftMs: () => number): Optimal | undefined {
  let best: Optimal | undefined;
  for (let round = 0; round < SEPARATIONS_MAX; round += 1) {
    const left = leftMs();
    if (left <= 0) return best;
    const solution = model.solve(left);
    if (solution.status !== "optimal") return best;
    best = solution;
    if (separateLoads(model, solution) === 0) return best;
  }
  return best;
}
