/**
 * A linear program that grows: columns and rows are added, bounds move, and each solve starts
 * from where the last one ended. Minimises; columns and rows are numbered as they are added.
 */
export interface LinearModel {
  /** Adds columns with their entries in present rows; gives the index of the first. */
  addColumns(columns: readonly NewColumn[]): number;
  /** Adds rows with their entries in present columns; gives the index of the first. */
  addRows(rows: readonly NewRow[]): number;
  setColumnBounds(
    columns: readonly number[],
    lower: readonly number[],
    upper: readonly number[],
  ): void;
  /** Solves within the limit. Blocks its thread. */
  solve(timeLimitMs: number): LinearSolution;
  /** Frees what the garbage collector cannot see. */
  close(): void;
}

export interface NewColumn {
  readonly cost: number;
  readonly lower: number;
  readonly upper: number;
  readonly rows: readonly number[];
  readonly values: readonly number[];
}

export interface NewRow {
  readonly lower: number;
  readonly upper: number;
  readonly columns: readonly number[];
  readonly values: readonly number[];
}

/** What a solve found; nothing but `optimal` may be built on. */
export type LinearSolution =
  | {
      readonly status: "optimal";
      readonly objective: number;
      readonly values: Float64Array;
      /** Change of the objective per unit of each row's bound: <= 0 for rows with an upper one. */
      readonly rowDuals: Float64Array;
      /** What it took, by the solver's own account. */
      readonly solveMs: number;
    }
  | { readonly status: "failed"; readonly reason: string; readonly solveMs: number };
