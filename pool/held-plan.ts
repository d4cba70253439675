/**
 * Plans move up and down by a few nodes with every look at demand. A node is given up only when
 * no plan of the last while wanted it: what was wanted at most counts.
 *
 * A new machine costs its boot; one that is kept idle for as long as a boot costs as much. Whoever
 * waits that long before giving up pays at most twice what one pays who knows the future (the ski
 * rental bound: Karlin, Manasse, Rudolph & Sleator 1988, "Competitive snoopy caching").
 *
 * Pure: memories are values. Losing one gives nodes up a little earlier.
 */
import type { DesiredLine } from "./ports.ts";

/** Counts wanted lately, by offer: times fall, counts rise towards the front. */
export type HeldPlan = ReadonlyMap<string, readonly WantedCount[]>;

interface WantedCount {
  readonly atMs: number;
  readonly count: number;
}

export const NO_PLAN_HELD: HeldPlan = new Map();

/** The memory after one more plan; counts older than `holdMs` are forgotten. O(lines). */
export function holdPlan(
  held: HeldPlan,
  desired: readonly DesiredLine[],
  now: { readonly nowMs: number; readonly holdMs: number },
): HeldPlan {
  const { nowMs, holdMs } = now;
  const counts = new Map(desired.map(({ offerId, count }) => [offerId, count]));
  const next = new Map<string, readonly WantedCount[]>();
  for (const offerId of new Set([...held.keys(), ...counts.keys()])) {
    const count = counts.get(offerId) ?? 0;
    // A clock that was set back must not hold nodes for ever.
    const recent = (held.get(offerId) ?? []).filter(
      ({ atMs }) => atMs <= nowMs && nowMs - atMs < holdMs,
    );
    const above = recent.filter((wanted) => wanted.count > count);
    if (count > 0 || above.length > 0) next.set(offerId, [...above, { atMs: nowMs, count }]);
  }
  return next;
}

/** The most that was wanted of an offer lately. */
export function heldCount(held: HeldPlan, offerId: string): number {
  return held.get(offerId)?.[0]?.count ?? 0;
}
