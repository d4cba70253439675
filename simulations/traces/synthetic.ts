/**
 * Demand made of stated parameters, for worlds of which there is no trace.
 *
 *     rate(t) = mean * day(t) * weekend(t) * level(t) * noise(t) * bursts(t) * spikes(t)
 *
 * - day = 1 + amplitude * cos(2 pi (hour - peakHour) / 24), mean 1;
 * - weekend = a factor on days 6 and 7 of each week, the trace beginning on a Monday at 0:00;
 * - level: straight lines between given (hour, factor), held beyond the ends: ramps, launches;
 * - noise = exp(x - sigma^2 / 2), x a first-order autoregression in time with standard deviation
 *   sigma and correlation exp(-t / correlation): mean 1, and a random walk in logs at short times;
 * - bursts of one function and spikes that several functions share: they come by a Poisson
 *   process, last exponentially long, and multiply the rate while they last (overlapping ones by
 *   the larger factor).
 *
 * Each part of each function draws from its own fork, so a change of one moves no other.
 */
import { assert, MS_PER_HOUR, MS_PER_MINUTE, type Rng } from "../../core/index.ts";
import { normal } from "../chance.ts";
import type { DemandTrace } from "./trace.ts";

/** Times of higher demand. */
export interface SurgeSpec {
  /** How many begin in a day, on average. */
  readonly perDay: number;
  /** How long one lasts, on average. */
  readonly meanMinutes: number;
  /** What the rate is multiplied by. */
  readonly factor: number;
}

/** Surges that functions share. */
export interface SpikeSpec extends SurgeSpec {
  /** Chance of each function to take part in one, 0..1. */
  readonly shareFraction: number;
}

/** The demand of one function. */
export interface SyntheticFunction {
  readonly functionId: string;
  readonly meanPerSecond: number;
  /** Absent means that all hours are alike. */
  readonly day?: { readonly amplitude: number; readonly peakHour: number };
  /** Absent means 1. */
  readonly weekendFactor?: number;
  /** Ascending by hour; absent means 1 throughout. */
  readonly level?: readonly { readonly hour: number; readonly factor: number }[];
  readonly noise?: { readonly sigma: number; readonly correlationMinutes: number };
  readonly bursts?: SurgeSpec;
}

export interface SyntheticSpec {
  readonly name: string;
  readonly hours: number;
  readonly stepMs: number;
  /** Length of the windows that "bad windows" are counted by; a whole number of steps. */
  readonly windowMs: number;
  readonly functions: readonly SyntheticFunction[];
  readonly spikes?: SpikeSpec;
}

const MS_PER_DAY = 24 * MS_PER_HOUR;
const DAYS_PER_WEEK = 7;
const FIRST_WEEKEND_DAY = 5;

/** The trace, in whole windows. O(steps * functions). */
export function synthesize(spec: SyntheticSpec, rng: Rng): DemandTrace {
  const { stepMs, windowMs, functions, spikes } = spec;
  assert(Number.isInteger(windowMs / stepMs), "a window is a whole number of steps");
  const windowCount = Math.ceil((spec.hours * MS_PER_HOUR) / windowMs);
  const stepCount = windowCount * (windowMs / stepMs);
  const shared = spikes === undefined ? [] : surges(spikes, stepCount * stepMs, rng.fork("spikes"));
  return {
    name: spec.name,
    source: "synthetic",
    stepMs,
    windowMs,
    series: functions.map((one) => {
      const chance = rng.fork(`function/${one.functionId}`);
      const perSecond = new Float64Array(stepCount).map(
        (_, step) => one.meanPerSecond * cycles(one, (step + 0.5) * stepMs),
      );
      if (one.noise !== undefined) addNoise(perSecond, one.noise, stepMs, chance.fork("noise"));
      const own = one.bursts;
      const bursts =
        own === undefined ? [] : surges(own, stepCount * stepMs, chance.fork("bursts"));
      multiply(perSecond, bursts, own?.factor ?? 1, stepMs);
      const joins = chance.fork("spikes");
      const joined = shared.filter(() => joins.next() < (spikes?.shareFraction ?? 0));
      multiply(perSecond, joined, spikes?.factor ?? 1, stepMs);
      return { functionId: one.functionId, perSecond };
    }),
    imputed: new Uint8Array(windowCount),
  };
}

/** Day, weekend and level at a moment. */
function cycles({ day, weekendFactor = 1, level = [] }: SyntheticFunction, atMs: number): number {
  const hour = atMs / MS_PER_HOUR;
  const ofDay =
    day === undefined
      ? 1
      : 1 + day.amplitude * Math.cos((2 * Math.PI * (hour - day.peakHour)) / 24);
  const isWeekend = Math.floor(atMs / MS_PER_DAY) % DAYS_PER_WEEK >= FIRST_WEEKEND_DAY;
  return Math.max(0, ofDay) * (isWeekend ? weekendFactor : 1) * levelAt(level, hour);
}

function levelAt(level: NonNullable<SyntheticFunction["level"]>, hour: number): number {
  const next = level.findIndex((knot) => knot.hour > hour);
  const to = level[next];
  const from = next === -1 ? level.at(-1) : level[next - 1];
  if (from === undefined) return to?.factor ?? 1;
  if (to === undefined) return from.factor;
  return from.factor + ((to.factor - from.factor) * (hour - from.hour)) / (to.hour - from.hour);
}

function addNoise(
  perSecond: Float64Array,
  noise: NonNullable<SyntheticFunction["noise"]>,
  stepMs: number,
  rng: Rng,
): void {
  const { sigma, correlationMinutes } = noise;
  const kept = Math.exp(-stepMs / (correlationMinutes * MS_PER_MINUTE));
  let log = sigma * normal(rng);
  for (const [step, rate] of perSecond.entries()) {
    perSecond[step] = rate * Math.exp(log - sigma ** 2 / 2);
    log = kept * log + sigma * Math.sqrt(1 - kept ** 2) * normal(rng);
  }
}

/** A time of higher demand. */
interface Surge {
  readonly fromMs: number;
  readonly untilMs: number;
}

function surges(spec: SurgeSpec, durationMs: number, rng: Rng): readonly Surge[] {
  const { perDay, meanMinutes } = spec;
  const found: Surge[] = [];
  if (perDay <= 0) return found;
  let atMs = exponential(rng, MS_PER_DAY / perDay);
  while (atMs < durationMs) {
    found.push({ fromMs: atMs, untilMs: atMs + exponential(rng, meanMinutes * MS_PER_MINUTE) });
    atMs += exponential(rng, MS_PER_DAY / perDay);
  }
  return found;
}

/** Multiplies by the factor for the share of each step in which any of the surges lasts. */
function multiply(
  perSecond: Float64Array,
  spans: readonly Surge[],
  factor: number,
  stepMs: number,
): void {
  const shares = new Float64Array(perSecond.length);
  let doneMs = 0;
  for (const { fromMs, untilMs } of spans) {
    const startMs = Math.max(fromMs, doneMs);
    doneMs = Math.max(doneMs, untilMs);
    const last = Math.min(perSecond.length - 1, Math.floor(untilMs / stepMs));
    for (let step = Math.floor(startMs / stepMs); step <= last; step += 1) {
      const overlapMs = Math.min(untilMs, (step + 1) * stepMs) - Math.max(startMs, step * stepMs);
      shares[step] = (shares[step] ?? 0) + Math.max(0, overlapMs) / stepMs;
    }
  }
  for (const [step, share] of shares.entries()) {
    perSecond[step] = (perSecond[step] ?? 0) * (1 + (factor - 1) * share);
  }
}

function exponential(rng: Rng, mean: number): number {
  return -mean * Math.log(1 - rng.next());
}
