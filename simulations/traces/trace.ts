/** What a simulated fleet is asked for: rates of arrivals over time, one series a function. */

/** Rates of one function: piecewise constant, one value a step. */
export interface RateSeries {
  readonly functionId: string;
  /** Inputs per second in each step, finite and >= 0; all series of a trace are equally long. */
  readonly perSecond: Float64Array;
}

/** A demand trace, ready to be flown. */
export interface DemandTrace {
  /** Such as `servegen m-mid`. */
  readonly name: string;
  /** Where it comes from, for people. */
  readonly source: string;
  /** Length of one step of the series. */
  readonly stepMs: number;
  /** Length of one window as it was measured; >= `stepMs`, a whole number of steps. */
  readonly windowMs: number;
  readonly series: readonly RateSeries[];
  /** By window: 1 where the collection had a hole and the rates are imputed. */
  readonly imputed: Uint8Array;
}

/** How rates move within one measured window, of which nothing is known. */
export const PATH_KINDS = ["linear", "bridge", "step"] as const;
export type PathKind = (typeof PATH_KINDS)[number];

/** How long a trace is. */
export function durationMsOf({ series, stepMs }: DemandTrace): number {
  return (series[0]?.perSecond.length ?? 0) * stepMs;
}
