/**
 * Which part of a world a search learns on, and which it is judged on: two stretches of time that
 * share no window, flown with seeds that they do not share either.
 *
 *     |------------- training -------------|------------- held out -------------|
 *          |-- rung 0 --|                         never seen by the search
 *
 * The cheaper rungs fly a part of the training stretch: the one whose demand is distributed most
 * like that of the whole (least sum of differences between deciles of the windows' rates).
 */
import { MS_PER_HOUR, PlatformError } from "../../core/index.ts";
import type { Span } from "../runs/span.ts";
import { totalOf } from "../traces/reshape.ts";
import { durationMsOf, type DemandTrace } from "../traces/trace.ts";
import { REDUCTION } from "./search.ts";

/** One way to judge a candidate: every seed is flown through the stretch. */
export interface Stretch {
  readonly span: Span;
  readonly seeds: readonly number[];
}

export interface SearchWindows {
  /** The whole training stretch, all its seeds: what candidates are chosen by. */
  readonly train: Stretch;
  readonly heldOut: Stretch;
  /** From the cheapest to the whole training stretch. */
  readonly rungs: readonly Stretch[];
}

export interface WindowOptions {
  /** Share of the trace that is learnt on, 0..1 without the ends. */
  readonly trainFraction: number;
  /** Seeds of each of both stretches. */
  readonly seedCount: number;
  /** Absent means as many as there is time for. */
  readonly rungCount?: number;
}

/** Shorter flights say little: a fleet takes that long to settle. */
const RUNG_MS_MIN = 2 * MS_PER_HOUR;
export const RUNGS_MAX = 3;
const DECILES = [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1] as const;

/** @throws PlatformError `invalid_request` when the trace is too short to be parted. */
export function searchWindows(trace: DemandTrace, options: WindowOptions): SearchWindows {
  const { trainFraction, seedCount } = options;
  const { windowMs } = trace;
  const windowCount = Math.floor(durationMsOf(trace) / windowMs);
  const trained = Math.round(windowCount * trainFraction);
  if (trained < 1 || trained >= windowCount) {
    const problem =
      `${trace.name} has ${windowCount} windows of ${windowMs / 60_000} minutes: with ` +
      `${trainFraction} of them for training, ${trained} are learnt on and ` +
      `${windowCount - trained} held out; take more hours or another share`;
    throw new PlatformError(problem, { code: "invalid_request", retryable: false });
  }
  const seedsFrom = (first: number): readonly number[] =>
    Array.from({ length: seedCount }, (_, index) => first + index);
  const train: Stretch = { span: { fromMs: 0, untilMs: trained * windowMs }, seeds: seedsFrom(1) };
  const heldOut: Stretch = {
    span: { fromMs: trained * windowMs, untilMs: windowCount * windowMs },
    seeds: seedsFrom(1 + seedCount),
  };
  return { train, heldOut, rungs: rungsOf(trace, train, options.rungCount) };
}

function rungsOf(trace: DemandTrace, train: Stretch, wanted?: number): readonly Stretch[] {
  const { windowMs } = trace;
  const { span, seeds } = train;
  const rungCount = wanted ?? roomFor(span.untilMs);
  return Array.from({ length: rungCount }, (_, rung) => {
    const share = REDUCTION ** (rung + 1 - rungCount);
    const length = Math.max(1, Math.round((span.untilMs * share) / windowMs));
    if (rung === rungCount - 1) return train;
    return { span: typicalSpan(trace, span, length), seeds: seeds.slice(0, 1) };
  });
}

/** Rungs of which the shortest is long enough. */
function roomFor(trainMs: number): number {
  let count = 1;
  while (count < RUNGS_MAX && trainMs / REDUCTION ** count >= RUNG_MS_MIN) count += 1;
  return count;
}

/** The stretch of `length` windows within `within` whose demand is most like that of it all. */
function typicalSpan(trace: DemandTrace, within: Span, length: number): Span {
  const { windowMs } = trace;
  const rates = windowRates(trace).slice(0, within.untilMs / windowMs);
  const wanted = decilesOf(rates);
  let best = 0;
  let least = Infinity;
  for (let from = 0; from + length <= rates.length; from += 1) {
    const own = decilesOf(rates.slice(from, from + length));
    const apart = own.reduce((sum, rate, at) => sum + Math.abs(rate - (wanted[at] ?? 0)), 0);
    if (apart < least) [best, least] = [from, apart];
  }
  return { fromMs: best * windowMs, untilMs: (best + length) * windowMs };
}

function windowRates(trace: DemandTrace): Float64Array {
  const steps = trace.windowMs / trace.stepMs;
  const total = totalOf(trace.series);
  const rates = new Float64Array(Math.floor(total.length / steps));
  for (const window of rates.keys()) {
    for (let step = 0; step < steps; step += 1) {
      rates[window] = (rates[window] ?? 0) + (total[window * steps + step] ?? 0) / steps;
    }
  }
  return rates;
}

function decilesOf(rates: Float64Array): readonly number[] {
  const sorted = rates.toSorted();
  return DECILES.map((share) => sorted[Math.round(share * (sorted.length - 1))] ?? 0);
}
