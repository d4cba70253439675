/** Traces made of traces: scaled, cut, repeated, shared out. None changes its argument. */
import { assert } from "../../core/index.ts";
import { durationMsOf, type DemandTrace, type RateSeries } from "./trace.ts";

/** What it takes to keep a number of GPUs busy. */
export interface PeakOptions {
  readonly gpuCount: number;
  /** Mean time that one input runs. */
  readonly serviceMs: number;
  /** Inputs that one container runs at once; absent means 1. */
  readonly concurrency?: number;
  /** GPUs of one container; absent means 1. */
  readonly gpusPerContainer?: number;
}

/**
 * The arrivals per second that keep `gpuCount` GPUs busy (Little's law):
 * gpus / gpusPerContainer * concurrency / service. 1,000 GPUs at 10 s are 100 per second.
 */
export function rateFor(options: PeakOptions): number {
  const { gpuCount, serviceMs, concurrency = 1, gpusPerContainer = 1 } = options;
  assert(serviceMs > 0 && gpusPerContainer > 0, "inputs take time and containers take GPUs");
  return ((gpuCount / gpusPerContainer) * concurrency * 1_000) / serviceMs;
}

/** The highest rate of all series together in one step, per second. O(steps * series). */
export function peakPerSecond(trace: DemandTrace): number {
  return totalOf(trace.series).reduce((peak, rate) => Math.max(peak, rate), 0);
}

/** All rates times a factor. @param factor >= 0 */
export function scaled(trace: DemandTrace, factor: number): DemandTrace {
  assert(factor >= 0 && Number.isFinite(factor), `a trace cannot be scaled by ${factor}`);
  return mapSeries(trace, (perSecond) => perSecond.map((rate) => rate * factor));
}

/** The trace whose highest step has `perSecond`; call it on windows, before a path is laid. */
export function scaledToPeak(trace: DemandTrace, perSecond: number): DemandTrace {
  const peak = peakPerSecond(trace);
  assert(peak > 0, `${trace.name} has no demand at all: no factor makes a peak of it`);
  return scaled(trace, perSecond / peak);
}

/**
 * Part of a trace, in whole windows: those that begin in [fromMs, untilMs). Its time starts at 0
 * again. Empty when nothing is there.
 */
export function cut(trace: DemandTrace, span: { fromMs: number; untilMs: number }): DemandTrace {
  const windowCount = Math.ceil(durationMsOf(trace) / trace.windowMs);
  const whole = (ms: number): number =>
    Math.min(windowCount, Math.max(0, Math.ceil(ms / trace.windowMs)));
  const from = whole(span.fromMs);
  const until = Math.max(from, whole(span.untilMs));
  const steps = trace.windowMs / trace.stepMs;
  return {
    ...mapSeries(trace, (perSecond) => perSecond.slice(from * steps, until * steps)),
    imputed: trace.imputed.slice(from, until),
  };
}

/** A trace over and over until it is `durationMs` long, in whole windows. */
export function repeated(trace: DemandTrace, durationMs: number): DemandTrace {
  assert(durationMsOf(trace) > 0, `${trace.name} is empty: it cannot be repeated`);
  const steps = trace.windowMs / trace.stepMs;
  const windowCount = Math.ceil(durationMs / trace.windowMs);
  const around = (values: ArrayLike<number>, length: number): readonly number[] =>
    Array.from({ length }, (_, index) => values[index % values.length] ?? 0);
  return {
    ...mapSeries(trace, (perSecond) => Float64Array.from(around(perSecond, windowCount * steps))),
    imputed: Uint8Array.from(around(trace.imputed, windowCount)),
  };
}

export interface ShareOptions {
  /** How many functions, >= 1. */
  readonly functions: number;
  /** Zipf's: the k-th function has a share in proportion to k^-exponent; 0 makes all equal. */
  readonly exponent: number;
  /** Ids are this, a dash and a number from 1; absent means `function`. */
  readonly prefix?: string;
}

/** The demand of all series together, shared out among functions; the largest comes first. */
export function shareOut(trace: DemandTrace, options: ShareOptions): DemandTrace {
  const { functions, exponent, prefix = "function" } = options;
  assert(Number.isInteger(functions) && functions >= 1, `${functions} is no number of functions`);
  const weights = Array.from({ length: functions }, (_, index) => (index + 1) ** -exponent);
  const sum = weights.reduce((total, weight) => total + weight, 0);
  const total = totalOf(trace.series);
  const digits = String(functions).length;
  return {
    ...trace,
    name: `${trace.name}, shared by ${functions}`,
    series: weights.map((weight, index) => ({
      functionId: `${prefix}-${String(index + 1).padStart(digits, "0")}`,
      perSecond: total.map((rate) => (rate * weight) / sum),
    })),
  };
}

/** All series added up. */
export function totalOf(series: readonly RateSeries[]): Float64Array {
  const total = new Float64Array(series[0]?.perSecond.length ?? 0);
  for (const { perSecond } of series) {
    for (const [step, rate] of perSecond.entries()) total[step] = (total[step] ?? 0) + rate;
  }
  return total;
}

function mapSeries(
  trace: DemandTrace,
  change: (perSecond: Float64Array) => Float64Array,
): DemandTrace {
  return {
    ...trace,
    series: trace.series.map(({ functionId, perSecond }) => ({
      functionId,
      perSecond: change(perSecond),
    })),
  };
}
