/**
 * Slow feedback: corrects the margin over the level by how often work really had to wait.
 *
 *     gain ← gain × exp(rate × (miss / target - 1))   every 10 minutes, within 0.3 .. 2.5
 *     rate = 0.5 / number of corrections so far,      within 0.0015 .. 0.008
 *
 * Forecasts are honest about what they see; this closes the loop over what they do not (starts
 * that fail, demand that the samples smooth over). Misses come in bursts that say little each, so
 * the rate falls as more of them are seen (Robbins & Monro 1951, "A stochastic approximation
 * method"), and not to nothing, because demand changes: within a day at first, within a week
 * later. In a model of the fleet on a week of public traffic a rate of 0.004 throughout cost 1 %
 * more at the same misses. The miss is not clipped: a version that clipped it at ten times the target settled at
 * three times it.
 */
import { assert, MS_PER_MINUTE } from "../../core/index.ts";

/** Share of work that may wait when nobody says otherwise. */
const MISS_FRACTION_TARGET = 0.005;
const RATE_SUM = 0.5;
const RATE_MIN = 0.0015;
const RATE_MAX = 0.008;
const STEP_MS = 10 * MS_PER_MINUTE;
const GAIN_MIN = 0.3;
const GAIN_MAX = 2.5;

/** What was seen since the last correction. */
export interface Misses {
  /** Share of work that waited too long, 0..1. */
  readonly missFraction: number;
  readonly elapsedMs: number;
  /** For how long the gain had been corrected before that. */
  readonly learntMs: number;
  /** The share that may; default 0.005. */
  readonly targetFraction?: number;
}

/** The gain to ask forecasts with from now on, 0.3..2.5. */
export function nextGain(gain: number, misses: Misses): number {
  const { missFraction, elapsedMs, learntMs, targetFraction = MISS_FRACTION_TARGET } = misses;
  assert(targetFraction > 0 && elapsedMs >= 0, "feedback needs a target above 0 and time");
  const rate = Math.min(RATE_MAX, Math.max(RATE_MIN, (RATE_SUM * STEP_MS) / learntMs));
  const excess = missFraction / targetFraction - 1;
  const next = gain * Math.exp((rate * excess * elapsedMs) / STEP_MS);
  return Math.min(GAIN_MAX, Math.max(GAIN_MIN, next));
}
