/**
 * What a benchmark is: a file of this folder that exports `run`. Figures are reported as they
 * are taken; a figure with a baseline is a ratio of two things measured in one run, so that
 * the speed of the machine cancels out.
 */

/** One measured figure. */
export interface Figure {
  /** What was measured, such as `warm_call_p50`. */
  readonly metric: string;
  readonly value: number;
  /** Unit of `value` and `baseline`, such as `ms` or `inputs/s`. */
  readonly unit: string;
  /** The same unit of work without the platform; absent when there is nothing to compare. */
  readonly baseline?: number;
}

/** A figure as it is printed with `--json`, one line each. */
export interface FigureLine extends Omit<Figure, "baseline"> {
  readonly bench: string;
  readonly baseline: number | null;
  /** `value / baseline`. */
  readonly ratio: number | null;
}

/** Where a benchmark says what it found, and what it is doing meanwhile. */
export interface Report {
  figure(figure: Figure): void;
  /** Progress for people; never on stdout. */
  note(text: string): void;
}

/** What every benchmark file exports as `run`. */
export type Benchmark = (report: Report) => Promise<void>;

/** The line of `figure`; absent or zero baselines give no ratio. */
export function figureLine(bench: string, figure: Figure): FigureLine {
  const baseline = figure.baseline ?? null;
  const ratio = baseline === null || baseline === 0 ? null : rounded(figure.value / baseline);
  const { metric, value, unit } = figure;
  return {
    bench,
    metric,
    value: rounded(value),
    unit,
    baseline: baseline && rounded(baseline),
    ratio,
  };
}

/** Quantile `q` (0..1) of `values` by the nearest rank; NaN when there are none. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((left, right) => left - right);
  const rank = Math.min(sorted.length - 1, Math.max(0, Math.ceil(q * sorted.length) - 1));
  return sorted[rank] ?? Number.NaN;
}

/** Four significant digits: what a measurement on a shared machine can carry. */
function rounded(value: number): number {
  return Number(value.toPrecision(4));
}
