/** An open linear program in HiGHS: its simplex basis stays in WebAssembly between solves. */
import type { Highs } from "highs";
import type { LinearModel, LinearSolution, NewColumn, NewRow } from "./linear-model.ts";

type Native = ReturnType<Highs["createModel"]>;

export class HighsLinearModel implements LinearModel {
  readonly #highs: Highs;
  readonly #native: Native;
  #columnCount = 0;
  #rowCount = 0;

  constructor(highs: Highs) {
    this.#highs = highs;
    this.#native = highs.createModel();
    this.#native.options.set({ output_flag: false, solver: "simplex", presolve: "off" });
  }

  addColumns(columns: readonly NewColumn[]): number {
    const first = this.#columnCount;
    if (columns.length === 0) return first;
    this.#columnCount += columns.length;
    this.#native.addCols({
      cost: Float64Array.from(columns, (column) => column.cost),
      lower: Float64Array.from(columns, (column) => column.lower),
      upper: Float64Array.from(columns, (column) => column.upper),
      matrix: {
        format: "csc",
        numRows: this.#rowCount,
        numCols: columns.length,
        ...sparse(columns.map(({ rows, values }) => ({ indices: rows, values }))),
      },
    });
    return first;
  }

  addRows(rows: readonly NewRow[]): number {
    const first = this.#rowCount;
    if (rows.length === 0) return first;
    this.#rowCount += rows.length;
    this.#native.addRows({
      lower: Float64Array.from(rows, (row) => row.lower),
      upper: Float64Array.from(rows, (row) => row.upper),
      matrix: {
        format: "csr",
        numRows: rows.length,
        numCols: this.#columnCount,
        ...sparse(rows.map(({ columns, values }) => ({ indices: columns, values }))),
      },
    });
    return first;
  }

  setColumnBounds(
    columns: readonly number[],
    lower: readonly number[],
    upper: readonly number[],
  ): void {
    for (const [position, column] of columns.entries()) {
      this.#native.changeColBounds(column, lower[position] ?? 0, upper[position] ?? Infinity);
    }
  }

  solve(timeLimitMs: number): LinearSolution {
    const native = this.#native;
    const statuses = this.#highs.constants.modelStatus;
    native.zeroAllClocks();
    native.options.set({ time_limit: Math.max(0.001, timeLimitMs / 1_000) });
    native.run();
    const status = native.getModelStatus();
    const solveMs = native.getRunTime() * 1_000;
    if (status !== statuses.optimal) {
      const reason = `HiGHS ended a linear program with status ${String(status)}`;
      return { status: "failed", reason, solveMs };
    }
    const { colValue, rowDual } = native.getSolution();
    return {
      status: "optimal",
      objective: native.getObjectiveValue(),
      values: colValue,
      rowDuals: rowDual,
      solveMs,
    };
  }

  close(): void {
    this.#native.dispose();
  }
}

interface SparseLists {
  readonly starts: Int32Array;
  readonly indices: Int32Array;
  readonly values: Float64Array;
}

function sparse(
  vectors: readonly { readonly indices: readonly number[]; readonly values: readonly number[] }[],
): SparseLists {
  const starts = new Int32Array(vectors.length + 1);
  for (const [position, { indices }] of vectors.entries()) {
    starts[position + 1] = (starts[position] ?? 0) + indices.length;
  }
  const count = starts[vectors.length] ?? 0;
  const indices = new Int32Array(count);
  const values = new Float64Array(count);
  for (const [position, vector] of vectors.entries()) {
    indices.set(vector.indices, starts[position]);
    values.set(vector.values, starts[position]);
  }
  return { starts, indices, values };
}
