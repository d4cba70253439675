import { MS_PER_MINUTE, MS_PER_SECOND } from "../../core/index.ts";

/** A backlog is worth as many containers as work it off in this time, and one each at most. */
export const WORK_OFF_MS = MS_PER_MINUTE;

/**
 * Containers that arrivals keep busy: a sample for a forecast.
 *
 * Source: Little's law.
 *
 * @param serviceMs Mean time that a container works on an input.
 */
export function offeredLoad(inputsPerSecond: number, serviceMs: number): number {
  return (inputsPerSecond * serviceMs) / MS_PER_SECOND;
}

/**
 * Containers that work off inputs that wait, beside those that arrivals keep busy. No sample for
 * a forecast: a backlog is of what was there too little, and learnt as demand it would raise what
 * is held long after it is gone. After a zone's spot machines were lost, that rented twice what was
 * wanted; on public traffic without such losses it makes no difference.
 *
 * Of the time to work it off, between 30 and 120 s cost and misses hardly differ there, but 30 s
 * rents a fifth more at each jump of demand, and at 120 s the longest waits are a tenth longer.
 *
 * @param serviceMs Mean time that a container works on an input.
 */
export function backlogLoad(backlogCount: number, serviceMs: number): number {
  return Math.min(1, serviceMs / WORK_OFF_MS) * backlogCount;
}
