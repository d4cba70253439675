/**
 * Valid loads: how much of a node the containers of a class take, at least.
 *
 * A load gives every class a weight such that the weights of containers on one node never add
 * up to more than 1. So in a group, sum_d w_d y_d <= nodes holds for every real packing. The
 * plain shares a / A of a resource are one load. Whole nodes give stronger ones: a dual feasible
 * function f maps shares so that any shares which add up to at most 1 are mapped to values which
 * add up to at most 1, and f(a / A) is a load. We use, for k = 1..8,
 *
 *   u_k(z) = z                      if (k + 1) z is whole
 *          = floor((k + 1) z) / k   otherwise
 *
 * With k = 1 two containers of more than half a node need two nodes; with 1/z between k and k + 1
 * at most k of them fit. GPU fractions are packed GPU by GPU, which only makes them take more, so
 * the loads hold for them too.
 *
 * Source: S. Fekete, J. Schepers, New classes of fast lower bounds for bin packing problems,
 * Mathematical Programming 91 (2001).
 */
import type { OfferGroup, Problem } from "../problem.ts";
import { SHARED_RESOURCES, sharesOf } from "./shares.ts";

/** Weights aligned with a group's `classIndexes`. */
export type Load = Float64Array;

const ORDER_MAX = 8;
/** (k + 1) z closer than this to a whole number counts as whole. */
const WHOLE_TOLERANCE = 1e-9;

/** The loads of a group that say something, plain shares first; without repeats. */
export function loadsOf(problem: Problem, group: OfferGroup): readonly Load[] {
  const loads: Load[] = [];
  for (const resource of SHARED_RESOURCES) {
    const shares = sharesOf(problem, group, resource);
    if (shares?.some((share) => share > 0) === true) addNew(loads, shares);
  }
  for (const shares of [...loads]) {
    for (let order = 1; order <= ORDER_MAX; order += 1) {
      const weights = shares.map((share) => rounded(share, order));
      if (weights.some((weight, position) => weight > (shares[position] ?? 0) + 1e-12)) {
        addNew(loads, weights);
      }
    }
  }
  return loads;
}

/** u_k of a share. */
function rounded(share: number, order: number): number {
  const scaled = (order + 1) * share;
  if (Math.abs(scaled - Math.round(scaled)) < WHOLE_TOLERANCE) return share;
  return Math.floor(scaled) / order;
}

function addNew(loads: Load[], weights: Load): void {
  const isKnown = loads.some((load) => load.every((value, index) => value === weights[index]));
  if (!isKnown) loads.push(weights);
}
