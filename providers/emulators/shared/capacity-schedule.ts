/**
 * How many machines an emulated cloud has: rules over selectors, each a schedule over time.
 *
 * Without a rule everything is had without limit. A rule bounds the live machines that match its
 * selector; a launch must fit under every rule that matches it.
 */

/** Which machines a rule counts; absent fields match all. */
export interface CapacitySelector {
  readonly instanceType?: string;
  readonly region?: string;
  readonly zone?: string;
  readonly market?: "on-demand" | "spot";
}

/** A machine, or one that is asked for. */
export type CapacityUser = Required<CapacitySelector>;

/** From `afterMs` after the rule was set, at most so many machines match; absent means no limit. */
export interface CapacityStep {
  readonly afterMs: number;
  readonly instanceCountMax?: number;
}

/** A bound on the machines that match; without `instanceCountMax` and `steps` the rule is lifted. */
export interface CapacityRule extends CapacitySelector {
  readonly instanceCountMax?: number;
  /** What changes later, in ascending order. */
  readonly steps?: readonly CapacityStep[];
}

interface RuleInForce {
  readonly rule: CapacityRule;
  readonly sinceMs: number;
}

/** The rules in force. */
export class CapacitySchedule {
  readonly #rules = new Map<string, RuleInForce>();

  /** Adds a rule, or replaces the one with an equal selector. */
  set(rule: CapacityRule, nowMs: number): void {
    const { instanceType, region, zone, market } = rule;
    const key = JSON.stringify([instanceType, region, zone, market]);
    const isLifted = rule.instanceCountMax === undefined && rule.steps === undefined;
    if (isLifted) this.#rules.delete(key);
    else this.#rules.set(key, { rule, sinceMs: nowMs });
  }

  /** How many more machines like `wanted` there are; infinite without a rule. O(rules x live). */
  available(wanted: CapacityUser, live: readonly CapacityUser[], nowMs: number): number {
    const rooms = [...this.#rules.values()]
      .filter(({ rule }) => selects(rule, wanted))
      .map(({ rule, sinceMs }) => {
        const countMax = countMaxAt(rule, nowMs - sinceMs);
        if (countMax === Infinity) return Infinity;
        return countMax - live.filter((user) => selects(rule, user)).length;
      });
    return Math.max(0, Math.min(Infinity, ...rooms));
  }
}

/** Whether a selector counts this machine. */
export function selects(selector: CapacitySelector, user: CapacityUser): boolean {
  const { instanceType, region, zone, market } = { ...user, ...selector };
  return (
    instanceType === user.instanceType &&
    region === user.region &&
    zone === user.zone &&
    market === user.market
  );
}

function countMaxAt(rule: CapacityRule, ageMs: number): number {
  const step = rule.steps?.filter(({ afterMs }) => afterMs <= ageMs).at(-1);
  return (step ?? rule).instanceCountMax ?? Infinity;
}
