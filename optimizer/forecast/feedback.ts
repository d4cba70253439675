/**
 * Slow feedback: corrects the margin over the level by how often work really had to wait.
 *
 *     gain ← gain × exp(0.004 × (miss / target - 1))   every 10 minutes, within 0.3 .. 2.5
 *
 * Forecasts are honest about what they see; this closes the loop over what they do not (starts
 * that fail, demand that the samples smooth over). It takes about a day to settle. The miss is
 * not clipped: a version that clipped it at ten times the target settled at three times it.
 */
import { assert, MS_PER_MINUTE } from "../../core/index.ts";

/** Share of work that may wait when nobody says otherwise. */
const MISS_FRACTION_TARGET = 0.005;
const RATE_PER_STEP = 0.004;
const STEP_MS = 10 * MS_PER_MINUTE;
const GAIN_MIN = 0.3;
const GAIN_MAX = 2.5;

/** What was seen since the last correction. */
export interface Misses {
  /** Share of work that waited too long, 0..1. */
  readonly missFraction: number;
  readonly elapsedMs: number;
  /** The share that may; default 0.005. */
  readonly targetFraction?: number;
}

/** The gain to ask forecasts with from now on, 0.3..2.5. */
export function nextGain(gain: number, misses: Misses): number {
  const { missFraction, elapsedMs, targetFraction = MISS_FRACTION_TARGET } = misses;
  assert(targetFraction > 0 && elapsedMs >= 0, "feedback needs a target above 0 and time");
  const excess = missFraction / targetFraction - 1;
  const next = gain * Math.exp((RATE_PER_STEP * excess * elapsedMs) / STEP_MS);
  return Math.min(GAIN_MAX, Math.max(GAIN_MIN, next));
}
