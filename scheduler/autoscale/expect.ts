/**
 * When a function will be called next, for functions that are called at regular times.
 *
 * The gaps between its last awakenings (at most eight) give an interval, widened by a quarter of
 * itself and a second. Containers are wanted from one start time before the interval until its
 * end, as many as the inputs of the latest awakenings need.
 *
 * It is off unless it pays: the same rule is replayed over the function's own past, and must
 * have saved at least half as much waiting as it would have cost in idle container time, over
 * at least three gaps. So a function that is called at random is left alone, a timer is met.
 * Limits: one period only, so a daily and an hourly rhythm together look like chance, and
 * nothing is expected before the sixth awakening.
 *
 * Source of the idea: Shahrad et al., "Serverless in the Wild" (USENIX ATC 2020), whose
 * histogram of idle times decides when to unload and when to pre-warm.
 */
import type { Awakening } from "./arrival-log.ts";

/** A call that is expected. */
export interface Expectation {
  /** From when containers are to be started or kept. */
  readonly fromMs: number;
  /** When the call comes, at about the middle of what is possible. */
  readonly atMs: number;
  /** From then on it is not expected any more. */
  readonly untilMs: number;
  /** Inputs that came with the latest awakenings, at the median. */
  readonly inputs: number;
}

const GAPS_MAX = 8;
const GAPS_MIN = 2;
const REPLAYED_MIN = 3;
const MARGIN_FRACTION = 0.25;
const MARGIN_MS = 1_000;
/** Idle container time that one unit of waiting is worth. */
const IDLE_PER_WAIT = 2;
const INPUTS_SEEN = 5;

/**
 * The next call; undefined when the past tells nothing that pays.
 *
 * @param awakenings Oldest first.
 * @param startupMs Time of one start, which is what a call that finds no container waits.
 */
export function expectNext(
  awakenings: readonly Awakening[],
  startupMs: number,
): Expectation | undefined {
  const latest = awakenings.at(-1);
  const gaps = gapsOf(awakenings);
  if (latest === undefined || !paysOff(gaps, startupMs)) return undefined;
  const { lowMs, highMs } = intervalOf(gaps);
  return {
    fromMs: latest.atMs + lowMs - startupMs,
    atMs: latest.atMs + (lowMs + highMs) / 2,
    untilMs: latest.atMs + highMs,
    inputs: medianOf(awakenings.slice(-INPUTS_SEEN).map(({ inputs }) => inputs)),
  };
}

function gapsOf(awakenings: readonly Awakening[]): readonly number[] {
  return awakenings.slice(1).map(({ atMs }, position) => {
    return atMs - (awakenings[position]?.atMs ?? atMs);
  });
}

interface Interval {
  readonly lowMs: number;
  readonly highMs: number;
}

function intervalOf(gaps: readonly number[]): Interval {
  const known = gaps.slice(-GAPS_MAX);
  const lowest = Math.min(...known);
  const highest = Math.max(...known);
  const marginMs = MARGIN_FRACTION * (highest - lowest) + MARGIN_MS;
  return { lowMs: lowest - marginMs, highMs: highest + marginMs };
}

/** Replays the rule: each gap is met with what was known before it. */
function paysOff(gaps: readonly number[], startupMs: number): boolean {
  let savedMs = 0;
  let idleMs = 0;
  let replayed = 0;
  for (let position = GAPS_MIN; position < gaps.length; position += 1) {
    const { lowMs, highMs } = intervalOf(gaps.slice(0, position));
    const gapMs = gaps[position] ?? 0;
    replayed += 1;
    // Too early for it: nothing was started, nothing is saved.
    if (gapMs <= lowMs - startupMs) continue;
    idleMs += Math.min(Math.max(0, gapMs - lowMs), highMs - lowMs);
    if (gapMs <= highMs) savedMs += Math.min(startupMs, gapMs - (lowMs - startupMs));
  }
  return replayed >= REPLAYED_MIN && savedMs * IDLE_PER_WAIT >= idleMs;
}

function medianOf(counts: readonly number[]): number {
  const sorted = [...counts].sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? 0;
}
