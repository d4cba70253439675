/**
 * How long starts take, where it was measured: quantiles of a public trace, carried over.
 *
 * Source: GenTD26, serverless serving of image models (github.com/alibaba/clusterdata at 7a6c496e,
 * cluster-trace-v2026-GenAI), read 2026-11: quantiles of the values in
 * `{basemodel,lora,pipeline}_update_latency_anon.csv`. The publisher scaled values for privacy
 * and kept their proportions, so the spread is surer than the level. The files have no licence,
 * so none is part of this repository; a test holds these figures to them where they are at hand.
 */

/** Quantiles of one kind of start. */
export interface StartQuantiles {
  readonly p50Ms: number;
  readonly p90Ms: number;
  readonly p99Ms: number;
}

/** `baseModel`: a model loaded from nothing, a cold start; `pipeline`: one model for another. */
export const MEASURED_STARTS = {
  baseModel: { p50Ms: 22_700, p90Ms: 42_000, p99Ms: 51_900 },
  lora: { p50Ms: 4_400, p90Ms: 6_100, p99Ms: 8_200 },
  pipeline: { p50Ms: 8_500, p90Ms: 26_800, p99Ms: 54_300 },
} as const satisfies Record<string, StartQuantiles>;

/**
 * A time at a quantile: lines in logs between the known ones, flat beyond the 99 %, and below the
 * median the mirror image of the way to the 90 %.
 *
 * @param quantile 0..1.
 */
export function startMsAt(quantiles: StartQuantiles, quantile: number): number {
  const { p50Ms, p90Ms, p99Ms } = quantiles;
  const between = (from: number, to: number, share: number): number => from * (to / from) ** share;
  if (quantile < 0.5)
    return between(p50Ms, p50Ms ** 2 / p90Ms, Math.min(1, (0.5 - quantile) / 0.4));
  if (quantile < 0.9) return between(p50Ms, p90Ms, (quantile - 0.5) / 0.4);
  return between(p90Ms, p99Ms, Math.min(1, (quantile - 0.9) / 0.09));
}
