/** What a group that is in the restricted model has there: its pairs, their columns and entries. */
import type { Problem } from "../problem.ts";
import type { NewColumn, NewRow } from "../solvers/linear-model.ts";
import type { Load } from "./loads.ts";

/** Containers of one class on one group in one scenario. */
export interface Pair {
  readonly column: number;
  readonly groupIndex: number;
  readonly position: number;
  readonly classIndex: number;
  readonly scenarioIndex: number;
}

/** A row that says: the load of a scenario's containers is at most the group's nodes. */
export interface LoadRow {
  readonly row: number;
  readonly load: number;
}

/** What is in the model of one group. */
export interface ActiveGroup {
  readonly groupIndex: number;
  /** Grows with the loads that patterns give. */
  readonly loads: Load[];
  /** By scenario. */
  readonly loadRows: readonly LoadRow[][];
  /** By scenario: column by position, or -1. */
  readonly pairColumns: readonly Int32Array[];
}

/** The column of a pair: in its demand row, and in the rows of the loads that weigh its class. */
export function pairColumn(
  problem: Problem,
  { loads, loadRows }: ActiveGroup,
  { groupIndex, position, scenarioIndex }: Omit<Pair, "column">,
  demandRow: number,
): NewColumn {
  const usd = problem.groups[groupIndex]?.costs[position]?.usd ?? 0;
  const rows = [demandRow];
  const values = [1];
  for (const { row, load } of loadRows[scenarioIndex] ?? []) {
    const weight = loads[load]?.[position] ?? 0;
    if (weight === 0) continue;
    rows.push(row);
    values.push(weight);
  }
  const cost = (problem.probabilities[scenarioIndex] ?? 0) * usd;
  return { cost, lower: 0, upper: Infinity, rows, values };
}

/** Columns of the pairs that a load weighs, with their weights. */
export function pairEntries(
  { loads, pairColumns }: ActiveGroup,
  scenarioIndex: number,
  load: number,
): Pick<NewRow, "columns" | "values"> {
  const weights = loads[load];
  const columns: number[] = [];
  const values: number[] = [];
  for (const [position, column] of (pairColumns[scenarioIndex] ?? []).entries()) {
    const weight = weights?.[position] ?? 0;
    if (column < 0 || weight === 0) continue;
    columns.push(column);
    values.push(weight);
  }
  return { columns, values };
}
