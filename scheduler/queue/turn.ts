/**
 * Which of the inputs that wait for a container has the next turn.
 *
 * An input is on time when it has a container within `ON_TIME_MS`. While there are enough
 * containers, inputs go in the order in which they came. When there are too few, that order makes
 * everybody late: once the queue is two seconds deep, no input is on time any more, also those
 * that came last. So inputs that can still be on time go first, the one with the least time left
 * before the others, and late ones take what is left. No input steps aside for long: one that has
 * waited `OVERDUE_MS` goes before all.
 *
 * That is the earliest deadline first, with a second, later deadline for those that missed
 * theirs. B. Maurer, "Fail at Scale", ACM Queue 13 (8), 2015, describes the same trouble with
 * queues in the order of arrival, and an order turned round under overload as a remedy.
 */
import { MS_PER_SECOND } from "../../core/index.ts";

/** An input that waits longer than this for a container is late. */
export const ON_TIME_MS = 2 * MS_PER_SECOND;
/** An input that has waited this long goes before all others. */
export const OVERDUE_MS = 14 * MS_PER_SECOND;
/** What is given a container at the last moment must still be on time when it gets there. */
const MARGIN_MS = 100;

/** 0: overdue; 1: can be on time; 2: late. Lower goes first, of equals the one that waited longer. */
export type Turn = 0 | 1 | 2;

/** The turn of an input that has waited `waitedMs`; smaller than 0 counts as 0. O(1). */
export function turnOf(waitedMs: number): Turn {
  if (waitedMs <= ON_TIME_MS - MARGIN_MS) return 1;
  return waitedMs < OVERDUE_MS ? 2 : 0;
}
