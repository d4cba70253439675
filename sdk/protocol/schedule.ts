/** When the platform calls a function by itself, and what is known of those calls. */
import type { Paged } from "./paged.ts";

/** What all schedules have. */
interface Grace {
  /**
   * How late a run may begin when the platform was away at its time, 0 to 86,400,000. Of several
   * such runs the latest one begins; the others are missed. Default 600,000 (10 minutes).
   */
  readonly graceMs?: number;
}

/** By a cron expression of five fields, or a word such as `@daily`. */
export interface CronSchedule extends Grace {
  readonly kind: "cron";
  readonly expression: string;
  /** Name in the IANA time zone database, such as `Europe/Berlin`. Default UTC. */
  readonly timezone?: string;
}

/** Again and again after the same time, counted from when it was first deployed. */
export interface PeriodSchedule extends Grace {
  readonly kind: "period";
  /** 1,000 to 31,536,000,000 (1 s to 365 days). */
  readonly periodMs: number;
}

/** When the platform calls a function by itself. */
export type Schedule = CronSchedule | PeriodSchedule;

/** One scheduled time that came, or several in a row that were missed. */
export interface ScheduleRun {
  /** The scheduled time; of missed ones the last. */
  readonly dueAtMs: number;
  /**
   * `starting` until its call is accepted. `ended`: its call is no longer kept (7 days), or was
   * cancelled. The others are what became of it.
   */
  readonly state: "starting" | "running" | "succeeded" | "failed" | "ended" | "missed";
  /** Its call, unless it was missed. */
  readonly callId?: string;
  /** Of missed ones: how many (1,000 means that or more), the first, and why. */
  readonly missed?: {
    readonly count: number;
    readonly firstDueAtMs: number;
    readonly reason: string;
  };
}

/** The schedule of one function, with its last and next times. */
export interface ScheduleInfo {
  readonly app: string;
  readonly function: string;
  readonly schedule: Schedule;
  readonly state: "active" | "paused";
  /** The next scheduled times, soonest first, at most 5; none while it is paused. */
  readonly nextRunsAtMs: readonly number[];
  /** The latest first, at most 10. */
  readonly lastRuns: readonly ScheduleRun[];
  /** How many were missed since the function was first deployed. */
  readonly missedCount: number;
}

/** The schedules of a workspace. */
export interface ScheduleList extends Paged {
  readonly schedules: readonly ScheduleInfo[];
}
