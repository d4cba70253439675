/**
 * The yardsticks: demand stays as it is, give or take the errors that this would have made over
 * the last three days. They see the series with its holes filled; ours sees it as collected.
 */
import { MS_PER_HOUR } from "../../core/index.ts";
import type { Traffic } from "./traffic.ts";

export const YARDSTICKS = ["gaussian", "empirical"] as const;
export type Yardstick = (typeof YARDSTICKS)[number];

/** Quantiles of the error to add to the present demand, by yardstick. */
export type ErrorQuantiles = Readonly<Record<Yardstick, readonly number[]>>;

export const QUANTILES = [0.5, 0.9, 0.99] as const;
/** Of the standard normal distribution, for `QUANTILES`. */
const NORMAL_QUANTILES = [0, 1.281552, 2.326348] as const;

const ROLLING_MS = 72 * MS_PER_HOUR;
const REFRESH_MS = MS_PER_HOUR;

/** Error quantiles at each step of a series, learnt anew every hour. */
export function persistenceErrors(
  { demand, stepMs }: Traffic,
  leadSteps: number,
): (step: number) => ErrorQuantiles {
  const refreshSteps = Math.max(1, REFRESH_MS / stepMs);
  let learntAt = -Infinity;
  let learnt: ErrorQuantiles = { gaussian: [0, 0, 0], empirical: [0, 0, 0] };
  return (step) => {
    if (step - learntAt < refreshSteps) return learnt;
    learntAt = step;
    const errors: number[] = [];
    const first = Math.max(0, step - leadSteps - ROLLING_MS / stepMs);
    for (let from = first; from + leadSteps <= step; from += 1) {
      errors.push((demand[from + leadSteps] ?? 0) - (demand[from] ?? 0));
    }
    learnt = { gaussian: gaussianQuantiles(errors), empirical: empiricalQuantiles(errors) };
    return learnt;
  };
}

function gaussianQuantiles(errors: readonly number[]): readonly number[] {
  const mean = errors.reduce((sum, error) => sum + error, 0) / errors.length;
  const variance = errors.reduce((sum, error) => sum + (error - mean) ** 2, 0) / errors.length;
  return NORMAL_QUANTILES.map((z) => mean + z * Math.sqrt(variance));
}

function empiricalQuantiles(errors: readonly number[]): readonly number[] {
  const sorted = Float64Array.from(errors).sort();
  return QUANTILES.map((q) => sorted[Math.ceil(q * sorted.length) - 1] ?? 0);
}
