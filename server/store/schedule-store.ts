/** The part of the record store that schedules live in. */
import type { Schedule } from "../../sdk/protocol/index.ts";
import type { Fence, FunctionKey } from "./keys.ts";

/** A function by name that is called by schedule; it goes on over deployments. */
export interface StoredSchedule extends FunctionKey {
  readonly schedule: Schedule;
  /** When it was first deployed with this schedule; a period counts from here. */
  readonly sinceMs: number;
  /** The first scheduled time that was not decided about; absent: none ever comes. */
  readonly nextMs?: number;
  /** Absent: it is not paused. */
  readonly pausedAtMs?: number;
  /** How many runs were missed since ever. */
  readonly missedCount: number;
}

/** A schedule, and the function that it calls now. */
export interface LiveSchedule extends StoredSchedule {
  readonly functionId: string;
  readonly appId: string;
}

/** A scheduled function of a running deployment whose schedule is not noted yet, or another. */
export interface DeployedSchedule extends FunctionKey {
  readonly schedule: Schedule;
  readonly deployedAtMs: number;
}

/** What became of a scheduled time; of several missed ones in a row, `dueAtMs` is the last. */
export interface StoredRun extends FunctionKey {
  readonly dueAtMs: number;
  /** `starting`: to be started, and perhaps started already. */
  readonly state: "starting" | "started" | "missed";
  readonly callId?: string;
  readonly missed?: {
    readonly count: number;
    readonly firstDueAtMs: number;
    readonly reason: string;
  };
}

/** A decision about one schedule: what runs or was missed, and from where to look next. */
export interface ScheduleStep {
  readonly key: FunctionKey;
  /** What it was decided from; the step is dropped when the schedule has moved since. */
  readonly fromNextMs: number;
  readonly nextMs?: number;
  readonly runs: readonly StoredRun[];
}

/** Runs kept of each schedule, the latest. */
export const RUNS_KEPT = 100;

/** Schedules and what became of their times. Written by one leader, paused by anybody. */
export interface ScheduleStore {
  /** What deployments have changed since it was noted last. */
  changes(): Promise<{
    readonly begun: readonly DeployedSchedule[];
    readonly ended: readonly FunctionKey[];
  }>;
  /** Notes begun and ended schedules; what began again or anew keeps its runs and its pause. */
  note(
    fence: Fence,
    begun: readonly StoredSchedule[],
    ended: readonly FunctionKey[],
  ): Promise<void>;
  /** Schedules in force: all, or those due by a time, soonest first and at most `limit`. */
  list(due?: { readonly nowMs: number; readonly limit: number }): Promise<readonly LiveSchedule[]>;
  /**
   * Takes steps: each whole or not at all. A scheduled time that has a run keeps that.
   *
   * @throws PlatformError `conflict`, with nothing written, when a higher token was claimed.
   */
  step(fence: Fence, steps: readonly ScheduleStep[]): Promise<void>;
  /** Says what became of runs that were `starting`; adds what was missed to the counts. */
  settle(fence: Fence, runs: readonly StoredRun[]): Promise<void>;
  /** Sets or ends a pause, and from where to look next; false when there is no such schedule. */
  pause(
    key: FunctionKey,
    pause: { readonly pausedAtMs?: number; readonly nextMs?: number },
  ): Promise<boolean>;
}

export interface ScheduleRuns {
  /** Runs that are `starting`, oldest first. */
  starting(limit: number): Promise<readonly StoredRun[]>;
  /** Of one schedule, the latest first. */
  latest(key: FunctionKey, limit: number): Promise<readonly StoredRun[]>;
}
