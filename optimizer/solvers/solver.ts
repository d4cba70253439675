/**
 * The solver port: a mixed-integer program in, numbers out.
 *
 * Columns and rows have indices only: names of offers or classes never reach a solver, since
 * text formats choke on them.
 */

import type { LinearModel } from "./linear-model.ts";

/**
 * Minimise cost'x subject to rowLower <= Ax <= rowUpper and lower <= x <= upper.
 *
 * Missing bounds are -Infinity and Infinity. A is stored by rows: row i has the entries
 * `rowStarts[i]` to `rowStarts[i + 1]` of `columnIndexes` and `values`, each column once.
 */
export interface MipModel {
  readonly cost: Float64Array;
  readonly lower: Float64Array;
  readonly upper: Float64Array;
  /** 1 where the column must be whole. */
  readonly integer: Uint8Array;
  readonly rowLower: Float64Array;
  readonly rowUpper: Float64Array;
  readonly rowStarts: Int32Array;
  readonly columnIndexes: Int32Array;
  readonly values: Float64Array;
}

export interface SolveOptions {
  readonly timeLimitMs: number;
  /** Relative gap at which to stop, 0..1. */
  readonly gapFraction: number;
  /** A feasible point to begin with; solvers that cannot use one leave it. */
  readonly start?: Float64Array;
  /** Branches at most; unlike time it strikes alike in every run. Heeded by HiGHS only. */
  readonly nodeCountMax?: number;
}

/**
 * What a solver found. Nothing in it may be trusted before `solutionFault` has passed it.
 * `solveMs` is the time it took by the solver's own account, where it keeps one.
 */
export type MipSolution =
  | {
      /** `optimal`: proved within the gap; `feasible`: values without that proof. */
      readonly status: "optimal" | "feasible";
      readonly values: Float64Array;
      readonly objective: number;
      /** Proved lower bound of the objective, -Infinity when none is known. */
      readonly bound: number;
      /** Change of the objective per unit of each row's right side; linear models only. */
      readonly rowDuals?: Float64Array;
      readonly solveMs?: number;
    }
  | { readonly status: "infeasible" | "unbounded"; readonly solveMs?: number }
  /** Neither values nor a proof: time ran out, or the solver gave up. */
  | {
      readonly status: "no_solution";
      readonly reason: string;
      /** True when only time was missing. */
      readonly isLate?: boolean;
      readonly solveMs?: number;
    };

/** One solver. `solve` may block the thread it runs on and may reject. */
export interface MipSolver {
  readonly name: string;
  solve(model: MipModel, options: SolveOptions): Promise<MipSolution>;
  /** Gives a way to open linear programs that grow; absent where the solver cannot. */
  openLinear?(): Promise<() => LinearModel>;
}

/** Largest distance from a whole number, or past a bound (relative), that counts as rounding. */
export const FEASIBILITY_TOLERANCE = 1e-5;

/**
 * Says what is wrong with `values` as an answer to `model`; undefined when it is feasible.
 * Linear in the size of the model.
 */
export function solutionFault(model: MipModel, values: Float64Array): string | undefined {
  if (values.length !== model.cost.length) {
    return `${values.length} values for ${model.cost.length} columns`;
  }
  for (const [column, value] of values.entries()) {
    const outside = outsideBy(value, model.lower[column] ?? 0, model.upper[column] ?? 0);
    if (!(outside <= FEASIBILITY_TOLERANCE)) return `column ${column} is ${value}, out of bounds`;
    const fraction = model.integer[column] === 1 ? Math.abs(value - Math.round(value)) : 0;
    if (fraction > FEASIBILITY_TOLERANCE) return `column ${column} is ${value}, not whole`;
  }
  for (let row = 0; row < model.rowLower.length; row += 1) {
    const activity = rowActivity(model, row, values);
    const outside = outsideBy(activity, model.rowLower[row] ?? 0, model.rowUpper[row] ?? 0);
    if (!(outside <= FEASIBILITY_TOLERANCE)) return `row ${row} is ${activity}, out of bounds`;
  }
  return undefined;
}

/** cost'x. */
export function objectiveOf(model: MipModel, values: Float64Array): number {
  let sum = 0;
  for (const [column, value] of values.entries()) sum += (model.cost[column] ?? 0) * value;
  return sum;
}

/** The same model with every column continuous. */
export function relaxationOf(model: MipModel): MipModel {
  return { ...model, integer: new Uint8Array(model.integer.length) };
}

/** Collects columns and rows, then freezes them into a model. */
export class ModelBuilder {
  readonly #cost: number[] = [];
  readonly #lower: number[] = [];
  readonly #upper: number[] = [];
  readonly #integer: number[] = [];
  readonly #rowLower: number[] = [];
  readonly #rowUpper: number[] = [];
  readonly #rowStarts: number[] = [0];
  readonly #columnIndexes: number[] = [];
  readonly #values: number[] = [];

  /** Adds a column and gives its index. */
  column(spec: {
    readonly cost: number;
    readonly lower?: number;
    readonly upper?: number;
    readonly integer?: boolean;
  }): number {
    this.#lower.push(spec.lower ?? 0);
    this.#upper.push(spec.upper ?? Infinity);
    this.#integer.push(spec.integer === true ? 1 : 0);
    return this.#cost.push(spec.cost) - 1;
  }

  /** Adds a row and gives its index; zero coefficients are left out. */
  row(spec: {
    readonly lower?: number;
    readonly upper?: number;
    readonly entries: Iterable<readonly [column: number, value: number]>;
  }): number {
    for (const [column, value] of spec.entries) {
      if (value === 0) continue;
      this.#columnIndexes.push(column);
      this.#values.push(value);
    }
    this.#rowStarts.push(this.#columnIndexes.length);
    this.#rowUpper.push(spec.upper ?? Infinity);
    return this.#rowLower.push(spec.lower ?? -Infinity) - 1;
  }

  build(): MipModel {
    return {
      cost: Float64Array.from(this.#cost),
      lower: Float64Array.from(this.#lower),
      upper: Float64Array.from(this.#upper),
      integer: Uint8Array.from(this.#integer),
      rowLower: Float64Array.from(this.#rowLower),
      rowUpper: Float64Array.from(this.#rowUpper),
      rowStarts: Int32Array.from(this.#rowStarts),
      columnIndexes: Int32Array.from(this.#columnIndexes),
      values: Float64Array.from(this.#values),
    };
  }
}

/** The entries of one row as pairs of column and value. */
export function rowEntries(model: MipModel, row: number): readonly (readonly [number, number])[] {
  const start = model.rowStarts[row] ?? 0;
  const end = model.rowStarts[row + 1] ?? start;
  const columns = model.columnIndexes.subarray(start, end);
  return Array.from(columns, (column, offset) => [column, model.values[start + offset] ?? 0]);
}

function rowActivity(model: MipModel, row: number, values: Float64Array): number {
  const end = model.rowStarts[row + 1] ?? 0;
  let sum = 0;
  for (let entry = model.rowStarts[row] ?? 0; entry < end; entry += 1) {
    sum += (model.values[entry] ?? 0) * (values[model.columnIndexes[entry] ?? 0] ?? 0);
  }
  return sum;
}

/** How far `value` lies outside its bounds, relative to the bound; NaN when it is NaN. */
function outsideBy(value: number, lower: number, upper: number): number {
  if (!Number.isFinite(value)) return NaN;
  const below = lower === -Infinity ? 0 : (lower - value) / Math.max(1, Math.abs(lower));
  const above = upper === Infinity ? 0 : (value - upper) / Math.max(1, Math.abs(upper));
  return Math.max(0, below, above);
}
