/**
 * What one more unit of a limit would save, USD/h, from the duals of the linear relaxation.
 *
 * A quota and the budget are rows: their price is minus the dual. The capacity of an offer is a
 * bound of its column: its price is minus the reduced cost c_j - sum_i dual_i a_ij, where the
 * column stands at that bound. Marginal prices: exact for the relaxation, a guide for the plan.
 */
import type { Formulation } from "./formulate.ts";
import { rounded } from "./finish-plan.ts";
import type { ShadowPrice } from "./plan.ts";
import type { Problem } from "./problem.ts";
import { compareText } from "./read-input.ts";
import { rowEntries } from "./solvers/solver.ts";

/** Prices above zero, sorted by constraint; none when the solver gives no duals. */
export function shadowPricesOf(
  problem: Problem,
  formulation: Formulation,
  values: Float64Array,
  rowDuals: Float64Array | undefined,
): readonly ShadowPrice[] {
  const { model, pricedRows } = formulation;
  if (rowDuals?.length !== model.rowLower.length) return [];
  const reducedCosts = Float64Array.from(model.cost);
  for (const [row, dual] of rowDuals.entries()) {
    for (const [column, value] of rowEntries(model, row)) {
      reducedCosts[column] = (reducedCosts[column] ?? 0) - dual * value;
    }
  }
  const rows = pricedRows.map(({ constraint, row }) => priceOf(constraint, rowDuals[row] ?? 0));
  const capacities = problem.offers.flatMap(({ offer, countMax }, index) =>
    (values[index] ?? 0) >= countMax - 1e-6
      ? [priceOf(`capacity ${offer.offerId}`, reducedCosts[index] ?? 0)]
      : [],
  );
  return [...rows, ...capacities]
    .filter(({ usdPerUnit }) => Number.isFinite(usdPerUnit) && usdPerUnit > 0)
    .sort((a, b) => compareText(a.constraint, b.constraint));
}

function priceOf(constraint: string, dual: number): ShadowPrice {
  return { constraint, usdPerUnit: rounded(-dual) };
}
