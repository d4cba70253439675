/**
 * Plans move up and down by a few nodes with every look at demand. A node is given up only when
 * no plan of the last while wanted it: what was wanted at most counts.
 *
 * A new machine costs its boot; one that is kept idle for as long as a boot costs as much. Whoever
 * waits that long before giving up pays at most twice what one pays who knows the future (the ski
 * rental bound: Karlin, Manasse, Rudolph & Sleator 1988, "Competitive snoopy caching").
 *
 * An empty node beyond all plans of that time goes at once: which of the empty ones has been so
 * for how long says little, because new containers take any of them. While less than that time
 * is remembered, as after a restart, a node must itself have been empty for all of it.
 *
 * Pure: memories are values.
 */
import type { DesiredLine } from "./ports.ts";

/** Plans of the last while. */
export interface HeldPlan {
  /** Since when there was a plan without a pause as long as the hold; absent before the first. */
  readonly sinceMs?: number;
  readonly lastAtMs?: number;
  /** Counts wanted lately, by offer: times fall, counts rise towards the front. */
  readonly wanted: ReadonlyMap<string, readonly WantedCount[]>;
}

interface WantedCount {
  readonly atMs: number;
  readonly count: number;
}

export const NO_PLAN_HELD: HeldPlan = { wanted: new Map() };

/** The memory after one more plan; counts older than `holdMs` are forgotten. O(lines). */
export function holdPlan(
  { sinceMs, lastAtMs, wanted: before }: HeldPlan,
  desired: readonly DesiredLine[],
  now: { readonly nowMs: number; readonly holdMs: number },
): HeldPlan {
  const { nowMs, holdMs } = now;
  const counts = new Map(desired.map(({ offerId, count }) => [offerId, count]));
  const wanted = new Map<string, readonly WantedCount[]>();
  // A clock that was set back must not hold nodes for ever.
  const isRecent = (atMs: number): boolean => atMs <= nowMs && nowMs - atMs < holdMs;
  for (const offerId of new Set([...before.keys(), ...counts.keys()])) {
    const count = counts.get(offerId) ?? 0;
    const recent = (before.get(offerId) ?? []).filter(({ atMs }) => isRecent(atMs));
    const above = recent.filter((one) => one.count > count);
    if (count > 0 || above.length > 0) wanted.set(offerId, [...above, { atMs: nowMs, count }]);
  }
  const goesOn = sinceMs !== undefined && lastAtMs !== undefined && isRecent(lastAtMs);
  return { sinceMs: goesOn ? sinceMs : nowMs, lastAtMs: nowMs, wanted };
}

/** The most that was wanted of an offer lately. */
export function heldCount({ wanted }: HeldPlan, offerId: string): number {
  return wanted.get(offerId)?.[0]?.count ?? 0;
}

/** Whether all plans of the last `holdMs` are remembered. */
export function isHeldFor(
  { sinceMs = Infinity }: HeldPlan,
  now: { readonly nowMs: number; readonly holdMs: number },
): boolean {
  return now.nowMs - sinceMs >= now.holdMs;
}
