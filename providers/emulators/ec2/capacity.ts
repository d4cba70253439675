/** How much the emulated cloud has, and how much of it one account may take. */
import { quotaGroupOf } from "../../catalog/index.ts";
import {
  CapacitySchedule,
  type CapacityRule,
  type CapacityUser,
} from "../shared/capacity-schedule.ts";
import { isLive, type Instance, type LaunchSpec } from "./instance.ts";

/** At most `vcpuCountMax` vCPUs run in a quota group; absent lifts the quota. */
export interface QuotaRule {
  /** As in offers: `aws/us-east-1/P/on-demand`. */
  readonly quotaGroup: string;
  readonly vcpuCountMax?: number;
}

export type Candidate = Pick<LaunchSpec, "region" | "zone" | "market" | "shape">;

/** The limits in force. */
export class Capacity {
  readonly #capacity = new CapacitySchedule();
  readonly #quotas = new Map<string, number>();

  /** Adds a rule, or replaces the one with an equal selector. */
  setCapacity(rule: CapacityRule, nowMs: number): void {
    this.#capacity.set(rule, nowMs);
  }

  setQuota({ quotaGroup, vcpuCountMax }: QuotaRule): void {
    if (vcpuCountMax === undefined) this.#quotas.delete(quotaGroup);
    else this.#quotas.set(quotaGroup, vcpuCountMax);
  }

  /** How many more instances like `candidate` there are; infinite without a rule. */
  available(candidate: Candidate, instances: readonly Instance[], nowMs: number): number {
    const live = instances.filter(isLive).map(({ spec }) => userOf(spec));
    return this.#capacity.available(userOf(candidate), live, nowMs);
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

/** What the rules know of an instance. */
export function userOf({ shape, region, zone, market }: Candidate): CapacityUser {
  return { instanceType: shape.instanceType, region, zone, market };
}

function groupOf({ region, shape, market }: Candidate): string {
  return quotaGroupOf({ cloud: "aws", region }, shape.quotaFamily, market);
}
