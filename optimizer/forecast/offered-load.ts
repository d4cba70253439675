import { MS_PER_SECOND } from "../../core/index.ts";

/** Share of the waiting inputs that is worth a container each; the rest is served in turn. */
const BACKLOG_SHARE = 0.3;

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
 * Source: Little's law for the first part.
 */
export function offeredLoad({ inputsPerSecond, serviceMs, backlogCount }: Arrivals): number {
  return (inputsPerSecond * serviceMs) / MS_PER_SECOND + BACKLOG_SHARE * backlogCount;
}
