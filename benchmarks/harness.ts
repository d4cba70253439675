/**
 * What a benchmark is: a file of this folder that exports `run`, and `options` if it takes any.
 * Figures are reported as they are taken; a figure with a baseline is a ratio of two things
 * measured in one run, so that the speed of the machine cancels out.
 */
import { parseArgs } from "node:util";

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
  /** Nothing is measured, or no more, and that is no failure; says so where nobody overlooks it. */
  skip(reason: string): void;
}

/** What every benchmark file exports as `run`. */
export type Benchmark = (report: Report, options: OptionValues) => Promise<void>;

/** An option that a benchmark takes after its name, as `--name VALUE`. */
export interface BenchmarkOption {
  /** What stands for the value in the usage, such as `DIR`. */
  readonly placeholder: string;
  readonly default: string;
  readonly description: string;
}

/** What a benchmark file may export as `options`, by name. */
export type BenchmarkOptions = Readonly<Record<string, BenchmarkOption>>;

/** The value of each declared option: what was given, or its default. */
export type OptionValues = Readonly<Record<string, string>>;

/** Options that every benchmark takes. */
const FLAGS = { json: { type: "boolean" }, help: { type: "boolean" } } as const;

/** What stands after the name of a benchmark. */
export interface BenchmarkArguments {
  readonly json: boolean;
  readonly help: boolean;
  readonly values: OptionValues;
}

/**
 * Reads what stands after the name of a benchmark: `--json`, `--help` and its own options.
 *
 * @throws TypeError for anything else; its message is for people.
 */
export function readArguments(
  given: readonly string[],
  declared: BenchmarkOptions,
): BenchmarkArguments {
  const own = Object.entries(declared).map(
    ([name, option]) => [name, { type: "string", default: option.default }] as const,
  );
  const { json, help, ...values } = parseArgs({
    args: [...given],
    options: { ...Object.fromEntries(own), ...FLAGS },
  }).values;
  const texts = Object.entries(values).filter((entry): entry is [string, string] => {
    return typeof entry[1] === "string";
  });
  return { json: json === true, help: help === true, values: Object.fromEntries(texts) };
}

/** How a benchmark is called: one line, and one for each of its options. */
export function usageOf(name: string, declared: BenchmarkOptions): readonly string[] {
  const own = Object.entries(declared);
  const short = own.map(([option, { placeholder }]) => ` [--${option} ${placeholder}]`).join("");
  return [
    `npm run bench -- ${name} [--json]${short}`,
    ...own.map(
      ([option, { placeholder, description, default: usual }]) =>
        `    --${option} ${placeholder}  ${description} (default ${usual})`,
    ),
  ];
}

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
