/**
 * How many containers of a function may be started soon, beyond those that it is to have now.
 *
 * Nobody starts them: nodes keep as many sandboxes ready for them, which cost next to nothing and
 * go when anything else needs their room. So it may be wrong in both directions.
 *
 *     soon = min(limit - present, max(due, work > 0 ? ceil(present / 4) : 0, lately ? 1 : 0))
 *
 * `due` is what a call that comes at regular times will need, from a minute before it is met by
 * containers; a function at work may get a quarter more of it; one that has had work within five
 * minutes, and has no container left, may be called again.
 *
 * Pure: equal inputs give equal numbers.
 */
import { neededForBurst, startupMsOf } from "./estimate.ts";
import { expectNext } from "./expect.ts";
import type { FunctionState } from "./function-state.ts";

/** So long before an expected call is something kept ready for it. */
const LEAD_MS = 60_000;
/** A function that had work so long ago may be called again. */
const LATELY_MS = 5 * 60_000;
const GROWTH_FRACTION = 0.25;

/** @param wanted Containers that it is to have now. O(awakenings of the function). */
export function foresee(state: FunctionState, wanted: number, nowMs: number): number {
  const present = Math.max(wanted, state.containers.length);
  const room = Math.max(0, state.maxContainers - present);
  const isAtWork = state.backlog + state.running > 0;
  const growth = isAtWork ? Math.ceil(present * GROWTH_FRACTION) : 0;
  const again = present === 0 && hadWorkLately(state, nowMs) ? 1 : 0;
  return Math.min(room, Math.max(dueSoon(state, nowMs) - present, growth, again));
}

function hadWorkLately({ lastActiveAtMs }: FunctionState, nowMs: number): boolean {
  return lastActiveAtMs !== undefined && nowMs - lastActiveAtMs < LATELY_MS;
}

/** Containers that a call which comes at regular times will need; 0 while none is near. */
function dueSoon(state: FunctionState, nowMs: number): number {
  const expected = expectNext(state.arrivals?.awakenings ?? [], startupMsOf(state));
  if (expected === undefined || nowMs >= expected.untilMs) return 0;
  return nowMs >= expected.fromMs - LEAD_MS ? neededForBurst(state, expected.inputs) : 0;
}
