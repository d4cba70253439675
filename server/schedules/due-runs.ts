/**
 * What to do about the scheduled times that have passed: pure, and nothing is ever due twice.
 *
 * Times up to `punctualMs` ago run, each. Of older ones, which passed while nobody looked, the
 * latest runs if nothing newer does and it is not later than the grace allows; all others are
 * missed, and told as one gap. The time from which to look next is always in the future.
 */
import { lastRun, nextRuns, type AnchoredSchedule } from "./next-runs.ts";

/** Default of `Schedule.graceMs`. */
export const GRACE_MS = 600_000;
/** Missed times are counted up to this many. */
export const MISSED_COUNT_MAX = 1_000;

export interface DuePolicy {
  /** A run this late is no news: the loop only looks now and then. */
  readonly punctualMs: number;
}

/** Scheduled times in a row that passed without a run. */
export interface MissedGap {
  readonly firstDueAtMs: number;
  readonly lastDueAtMs: number;
  /** At most `MISSED_COUNT_MAX`, which stands for that or more. */
  readonly count: number;
}

export interface DueRuns {
  /** To be run now, oldest first. */
  readonly runs: readonly number[];
  readonly missed?: MissedGap;
  /** The first time not decided about; absent when none ever comes. */
  readonly nextMs?: number;
}

/**
 * @param nextMs The first scheduled time that was not decided about.
 * @param nowMs  Nothing is due before `nextMs`, so a clock that was set back repeats nothing.
 */
export function dueRuns(
  schedule: AnchoredSchedule,
  nextMs: number,
  nowMs: number,
  { punctualMs }: DuePolicy,
): DueRuns {
  if (nextMs > nowMs) return { runs: [], nextMs };
  const { graceMs = GRACE_MS } = schedule.schedule;
  const fresh = timesFrom(schedule, Math.max(nextMs, nowMs - punctualMs), nowMs);
  const firstFreshMs = fresh[0] ?? nowMs + 1;
  const latestMs = lastRun(schedule, firstFreshMs - 1) ?? nextMs;
  const isLate = fresh.length === 0 && latestMs >= nextMs && nowMs - latestMs <= graceMs;
  const runs = isLate ? [latestMs] : fresh;
  const missed = gapOf(schedule, nextMs, (runs[0] ?? nowMs + 1) - 1);
  const [following] = nextRuns(schedule, nowMs, 1);
  return {
    runs,
    ...(missed === undefined ? {} : { missed }),
    ...(following === undefined ? {} : { nextMs: following }),
  };
}

/** Scheduled times from one moment to another, both included; at most as many as are counted. */
function timesFrom(schedule: AnchoredSchedule, fromMs: number, toMs: number): readonly number[] {
  const times: number[] = [];
  let afterMs = fromMs - 1;
  while (times.length < MISSED_COUNT_MAX) {
    const [next] = nextRuns(schedule, afterMs, 1);
    if (next === undefined || next > toMs) break;
    times.push(next);
    afterMs = next;
  }
  return times;
}

function gapOf(schedule: AnchoredSchedule, fromMs: number, toMs: number): MissedGap | undefined {
  const times = timesFrom(schedule, fromMs, toMs);
  const [firstDueAtMs] = times;
  if (firstDueAtMs === undefined) return undefined;
  const lastDueAtMs = lastRun(schedule, toMs) ?? firstDueAtMs;
  return { firstDueAtMs, lastDueAtMs, count: times.length };
}
