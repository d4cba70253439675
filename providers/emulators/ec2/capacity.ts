/**
 * How much the emulated cloud has, and how much of it one account may take.
 *
 * Without a rule everything is had without limit. A rule bounds the live instances that match
 * its selector; a launch must fit under every rule that matches it.
 */
import { quotaGroupOf } from "../../catalog/index.ts";
import { isLive, type Instance, type LaunchSpec, type Market } from "./instance.ts";

/** Which instances a rule counts; absent fields match all. */
export interface CapacitySelector {
  readonly instanceType?: string;
  readonly region?: string;
  readonly zone?: string;
  readonly market?: Market;
}

/** At most `instanceCountMax` live instances match the selector; absent lifts the rule. */
export interface CapacityRule extends CapacitySelector {
  readonly instanceCountMax?: number;
}

/** At most `vcpuCountMax` vCPUs run in a quota group; absent lifts the quota. */
export interface QuotaRule {
  /** As in offers: `aws/us-east-1/P/on-demand`. */
  readonly quotaGroup: string;
  readonly vcpuCountMax?: number;
}

type Candidate = Pick<LaunchSpec, "region" | "zone" | "market" | "shape">;

/** The limits in force. */
export class Capacity {
  readonly #rules = new Map<string, CapacityRule>();
  readonly #quotas = new Map<string, number>();

  /** Adds a rule, or replaces the one with an equal selector. */
  setCapacity(rule: CapacityRule): void {
    const key = [rule.instanceType, rule.region, rule.zone, rule.market].join("|");
    if (rule.instanceCountMax === undefined) this.#rules.delete(key);
    else this.#rules.set(key, rule);
  }

  setQuota({ quotaGroup, vcpuCountMax }: QuotaRule): void {
    if (vcpuCountMax === undefined) this.#quotas.delete(quotaGroup);
    else this.#quotas.set(quotaGroup, vcpuCountMax);
  }

  /** How many more instances like `candidate` there are; infinite without a rule. */
  available(candidate: Candidate, instances: readonly Instance[]): number {
    let available = Infinity;
    for (const rule of this.#rules.values()) {
      if (!selects(rule, candidate)) continue;
      const used = instances.filter((one) => isLive(one) && selects(rule, one.spec)).length;
      available = Math.min(available, (rule.instanceCountMax ?? Infinity) - used);
    }
    return Math.max(0, available);
  }

  /** The vCPU limit of the candidate's quota group and what is in use; absent without one. */
  quota(
    candidate: Candidate,
    instances: readonly Instance[],
  ): { readonly vcpuCountMax: number; readonly vcpuCountUsed: number } | undefined {
    const quotaGroup = groupOf(candidate);
    const vcpuCountMax = this.#quotas.get(quotaGroup);
    if (vcpuCountMax === undefined) return undefined;
    const vcpuCountUsed = instances
      .filter((one) => isLive(one) && groupOf(one.spec) === quotaGroup)
      .reduce((sum, one) => sum + one.spec.shape.vcpuCount, 0);
    return { vcpuCountMax, vcpuCountUsed };
  }
}

/** Whether a selector counts an instance of this kind. */
export function selects(selector: CapacitySelector, candidate: Candidate): boolean {
  const { instanceType, region, zone, market } = selector;
  return (
    (instanceType ?? candidate.shape.instanceType) === candidate.shape.instanceType &&
    (region ?? candidate.region) === candidate.region &&
    (zone ?? candidate.zone) === candidate.zone &&
    (market ?? candidate.market) === candidate.market
  );
}

function groupOf({ region, shape, market }: Candidate): string {
  return quotaGroupOf({ cloud: "aws", region }, shape.quotaFamily, market);
}
