/** A comparison as a JSON document that programs may rely on. */
import type { CostReport, Timeline } from "../result.ts";
import type { Comparison, FunctionSummary, PolicyComparison, Spread } from "./compare.ts";

/** Grows when a field changes its meaning or goes; new fields do not count. */
export const JSON_REPORT_VERSION = 1;

/** The document. Money in micro-dollars, times in milliseconds, fractions 0..1. */
export interface JsonReport {
  readonly version: typeof JSON_REPORT_VERSION;
  readonly world: string;
  readonly commit?: string;
  readonly fromMs: number;
  readonly untilMs: number;
  readonly seeds: readonly number[];
  readonly inputs: Spread;
  readonly baselines: readonly string[];
  readonly policies: readonly JsonPolicy[];
}

/** One policy; `metrics` has the names of `metrics.ts`, those without a figure left out. */
export interface JsonPolicy {
  readonly policy: string;
  readonly seeds: readonly number[];
  readonly metrics: Readonly<Record<string, Spread>>;
  readonly overBaselines: PolicyComparison["overBaselines"];
  readonly cost: CostReport;
  readonly functions: readonly FunctionSummary[];
  /** Of the first seed; only when asked for, for it is long. */
  readonly timeline?: Timeline;
}

/**
 * The text of the document, ending in a line break. Equal comparisons give equal texts.
 *
 * @param hasTimelines Adds each policy's fleet over time: about 30 numbers a bucket.
 */
export function jsonReport(comparison: Comparison, hasTimelines = false): string {
  const { world, commit, fromMs, untilMs, seeds, inputs, baselines, policies } = comparison;
  const document: JsonReport = {
    version: JSON_REPORT_VERSION,
    world,
    ...(commit === undefined ? {} : { commit }),
    fromMs,
    untilMs,
    seeds,
    inputs,
    baselines,
    policies: policies.map((policy) => jsonPolicy(policy, hasTimelines)),
  };
  return `${JSON.stringify(document, undefined, 2)}\n`;
}

function jsonPolicy(policy: PolicyComparison, hasTimelines: boolean): JsonPolicy {
  const { timeline, metrics, ...rest } = policy;
  return {
    ...rest,
    metrics: Object.fromEntries(metrics),
    ...(hasTimelines ? { timeline } : {}),
  };
}
