/** Limits on how often an action may be called, as EC2's request throttling. */
import type { World } from "./world.ts";

/** A bucket; absent numbers lift the limit. */
export interface RateLimitRule {
  /** Such as `DescribeInstances`; absent is one bucket that every call counts against. */
  readonly action?: string;
  readonly perSecond?: number;
  /** Calls at once, at least 1; 1 when absent. */
  readonly burst?: number;
}

const EVERY_ACTION = "*";

/** Sets a full bucket, or lifts the limit. */
export function setRateLimit(
  { budget }: Pick<World, "budget">,
  { action = EVERY_ACTION, perSecond, burst = 1 }: RateLimitRule,
): void {
  if (perSecond === undefined) budget.set(action);
  else budget.set(action, { perSecond, burst });
}

/** Counts a call against its own bucket and that of all calls; false when it is one too many. */
export function isWithinRate({ budget, clock }: World, action: string): boolean {
  const nowMs = clock.nowMs();
  return budget.take(action, nowMs) && budget.take(EVERY_ACTION, nowMs);
}
