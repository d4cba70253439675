/**
 * The level of a demand series: what its noisy samples say of the demand beneath them.
 *
 * Demand is taken for a random walk, seen through the noise of single arrivals. Of such a series
 * the exponential mean with this memory is the best estimate (Kalman's filter in its steady
 * state, for samples that are close together; Muth 1960, "Optimal properties of exponentially
 * weighted forecasts", JASA 55):
 *
 *     best   = √(noise² × spacing × lead / deviation²)
 *     memory = 0.7 × best, within 8 s .. 2 min: to be late costs more than to be restless
 *     noise² = (mean squared difference of successive samples - deviation² × spacing / lead) / 2
 *
 * A sample further from the level than `JUMP_NOISES` times the noise is no noise: it is followed
 * within 20 s at most, and so is every sample until noise and moves can be told apart.
 * `deviation` is how far demand moves within a lead time, which `lead-errors.ts` measures. So a
 * thousand busy GPUs are followed within 20 s, and fifty within a minute or two.
 */
import { MS_PER_HOUR, MS_PER_MINUTE, MS_PER_SECOND } from "../../core/index.ts";
import { addToMean, keptAfter, NO_MEAN, type DecayedMean } from "./decayed-mean.ts";

export interface Level {
  /** The quantities, smoothed. */
  readonly value: number;
  /** What is usual over a day: the mean of log(value + 1). */
  readonly usualLog: number;
  readonly lastQuantity: number;
  /** Squared difference of one sample and the next, lately. */
  readonly roughness: DecayedMean;
}

/** One more sample. */
export interface LevelSample {
  readonly quantity: number;
  /** Since the last one, > 0. */
  readonly elapsedMs: number;
  /** Usual time between samples, > 0. */
  readonly spacingMs: number;
  /** Mean absolute move of demand within `leadMs`, >= 0. */
  readonly volatility: number;
  readonly leadMs: number;
}

const MEMORY_MS_MIN = 8 * MS_PER_SECOND;
const MEMORY_MS_MAX = 2 * MS_PER_MINUTE;
/** Of jumps, and while too few samples were seen. */
const MEMORY_MS_BRISK = 20 * MS_PER_SECOND;
const JUMP_NOISES = 4;
/** In a model of the fleet 0.7 was best on two public series; 0.5 and 1 cost up to 0.5 % more. */
const MEMORY_PER_BEST = 0.7;
const ROUGHNESS_COUNT_MIN = 10;
const ROUGHNESS_HALF_LIFE_MS = MS_PER_HOUR;
const USUAL_MEMORY_MS = 24 * MS_PER_HOUR;
/** Standard deviation of a normal distribution over its mean absolute deviation. */
const DEVIATION_PER_MEAN = Math.sqrt(Math.PI / 2);

export function firstLevel(quantity: number): Level {
  return {
    value: quantity,
    usualLog: Math.log(quantity + 1),
    lastQuantity: quantity,
    roughness: NO_MEAN,
  };
}

/** The level after one more sample: between the last level and the sample. O(1). */
export function nextLevel(level: Level, sample: LevelSample): Level {
  const { quantity, elapsedMs } = sample;
  const roughness = addToMean(level.roughness, {
    value: (quantity - level.lastQuantity) ** 2,
    weight: 1,
    keptFraction: keptAfter(elapsedMs, ROUGHNESS_HALF_LIFE_MS),
  });
  const share = 1 - Math.exp(-elapsedMs / memoryMs(roughness, level.value, sample));
  const value = level.value + share * (quantity - level.value);
  const usualShare = 1 - Math.exp(-elapsedMs / USUAL_MEMORY_MS);
  const usualLog = level.usualLog + usualShare * (Math.log(value + 1) - level.usualLog);
  return { value, usualLog, lastQuantity: quantity, roughness };
}

/** The level of about the last day. */
export function usualLevel({ usualLog }: Level): number {
  return Math.exp(usualLog) - 1;
}

function memoryMs(
  { sum, weight }: DecayedMean,
  level: number,
  { quantity, spacingMs, volatility, leadMs }: LevelSample,
): number {
  if (weight < ROUGHNESS_COUNT_MIN) return MEMORY_MS_BRISK;
  const walkPerMs = (DEVIATION_PER_MEAN * volatility) ** 2 / leadMs;
  const noise = Math.max(0, sum / weight - walkPerMs * spacingMs) / 2;
  const isJump = (quantity - level) ** 2 > JUMP_NOISES ** 2 * noise;
  const most = isJump ? MEMORY_MS_BRISK : MEMORY_MS_MAX;
  if (walkPerMs <= 0) return most;
  const best = Math.sqrt((noise * spacingMs) / walkPerMs);
  return Math.min(most, Math.max(MEMORY_MS_MIN, MEMORY_PER_BEST * best));
}
