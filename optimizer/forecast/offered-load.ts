import { MS_PER_MINUTE, MS_PER_SECOND } from "../../core/index.ts";

/** A backlog is worth as many containers as work it off in this time, and one each at most. */
export const WORK_OFF_MS = MS_PER_MINUTE;

/** What is known of a function's work when nobody counts the containers it wants. */
export interface Arrivals {
  readonly inputsPerSecond: number;
  /** Mean time that a container works on an input. */
  readonly serviceMs: number;
  /** Inputs that wait. */
  readonly backlogCount: number;
}

/**
 * Containers that arrivals keep busy, and some for the backlog: a sample for a forecast.
 *
 * Source: Little's law for the first part. The second was tried on public traffic with inputs of
 * 10 s and boots of 150 s: between 30 and 120 s cost and misses hardly differ, but 30 s rents a
 * fifth more at each jump of demand, and at 120 s the longest waits are a tenth longer.
 */
export function offeredLoad({ inputsPerSecond, serviceMs, backlogCount }: Arrivals): number {
  const share = Math.min(1, serviceMs / WORK_OFF_MS);
  return (inputsPerSecond * serviceMs) / MS_PER_SECOND + share * backlogCount;
}
