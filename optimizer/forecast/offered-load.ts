import { MS_PER_MINUTE, MS_PER_SECOND } from "../../core/index.ts";

/** A backlog is worth as many containers as work it off in this time, and one each at most. */
const WORK_OFF_MS = 2 * MS_PER_MINUTE;

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
 * Source: Little's law for the first part. The second is about as long as a machine boots: what
 * waits now is mostly done before a machine that is rented for it is there. On public traffic with
 * inputs of 10 s and boots of 150 s, 30 s instead of 120 s doubled the fleet at each jump of
 * demand, for 1 % of cost, and machines came too late for what had waited.
 */
export function offeredLoad({ inputsPerSecond, serviceMs, backlogCount }: Arrivals): number {
  const share = Math.min(1, serviceMs / WORK_OFF_MS);
  return (inputsPerSecond * serviceMs) / MS_PER_SECOND + share * backlogCount;
}
