/**
 * What the emulated Azure has where and when, and how much of it one subscription may take.
 *
 * Capacity is the shared schedule, once for each way in which a shortage shows itself. Quotas
 * bound vCPUs by usage counter, as the list of usages shows them.
 */
import type { PurchaseOption } from "../../../core/index.ts";
import { azureQuotaFamilies, type InstanceShape } from "../../catalog/index.ts";
import {
  CapacitySchedule,
  type CapacityRule,
  type CapacityUser,
} from "../shared/capacity-schedule.ts";

export type Market = Extract<PurchaseOption, "on-demand" | "spot">;

/** How a shortage shows itself; all but `SkuNotAvailable` by a failed operation. */
export const SHORTAGE_CODES = [
  "SkuNotAvailable",
  "AllocationFailed",
  "ZonalAllocationFailed",
  "OverconstrainedAllocationRequest",
  "OverconstrainedZonalAllocationRequest",
] as const;
export type ShortageCode = (typeof SHORTAGE_CODES)[number];

/** A bound on allocated machines; those without a zone match no rule that names one. */
export interface ShortageRule extends CapacityRule {
  /** Absent: `ZonalAllocationFailed` for a machine with a zone, else `AllocationFailed`. */
  readonly code?: ShortageCode;
}

/** At most `vcpuCountMax` vCPUs count against a usage counter of a region; absent lifts it. */
export interface QuotaRule {
  readonly region: string;
  /** Such as `standardNDSH100v5Family`, `lowPriorityCores` or `cores`. */
  readonly usage: string;
  readonly vcpuCountMax?: number;
}

/** What a limit is held against. */
export interface Candidate {
  readonly region: string;
  readonly zone?: string;
  readonly market: Market;
  readonly shape: InstanceShape;
}

/** A quota that a create would exceed. */
export interface ExceededQuota {
  readonly usage: string;
  readonly vcpuCountMax: number;
  readonly vcpuCountUsed: number;
}

const BY_DEFAULT = "by-default";
const SCHEDULE_NAMES = [...SHORTAGE_CODES, BY_DEFAULT] as const;
type ScheduleName = (typeof SCHEDULE_NAMES)[number];

/** The limits in force. */
export class Capacity {
  readonly #schedules: ReadonlyMap<ScheduleName, CapacitySchedule> = new Map(
    SCHEDULE_NAMES.map((name) => [name, new CapacitySchedule()]),
  );
  readonly #quotas = new Map<string, number>();

  /** Sets a rule in place of any with an equal selector. */
  setCapacity(rule: ShortageRule, nowMs: number): void {
    const { code = BY_DEFAULT, instanceCountMax, steps, ...selector } = rule;
    const bounds = {
      ...(instanceCountMax === undefined ? {} : { instanceCountMax }),
      ...(steps === undefined ? {} : { steps }),
    };
    for (const [name, schedule] of this.#schedules) {
      schedule.set(name === code ? { ...selector, ...bounds } : selector, nowMs);
    }
  }

  setQuota({ region, usage, vcpuCountMax }: QuotaRule): void {
    const key = usageKey(region, usage);
    if (vcpuCountMax === undefined) this.#quotas.delete(key);
    else this.#quotas.set(key, vcpuCountMax);
  }

  /** How a create of `wanted` fails beside `allocated` machines; undefined when it fits. */
  shortage(
    wanted: Candidate,
    allocated: readonly Candidate[],
    nowMs: number,
  ): ShortageCode | undefined {
    const users = allocated.map(userOf);
    for (const [code, schedule] of this.#schedules) {
      if (schedule.available(userOf(wanted), users, nowMs) >= 1) continue;
      if (code !== BY_DEFAULT) return code;
      return wanted.zone === undefined ? "AllocationFailed" : "ZonalAllocationFailed";
    }
    return undefined;
  }

  /** Whether `SkuNotAvailable` rules leave nothing of a machine for either market. */
  isRestricted(wanted: Omit<Candidate, "market">, nowMs: number): boolean {
    const schedule = this.#schedules.get("SkuNotAvailable");
    return (["on-demand", "spot"] as const).every(
      (market) => schedule?.available(userOf({ ...wanted, market }), [], nowMs) === 0,
    );
  }

  /** The limit of a usage counter; undefined when it has none. */
  quotaOf(region: string, usage: string): number | undefined {
    return this.#quotas.get(usageKey(region, usage));
  }

  /** The first quota that `wanted` would exceed beside `counted` machines. */
  exceededQuota(wanted: Candidate, counted: readonly Candidate[]): ExceededQuota | undefined {
    for (const usage of azureQuotaFamilies(wanted.shape, wanted.market)) {
      const vcpuCountMax = this.quotaOf(wanted.region, usage);
      if (vcpuCountMax === undefined) continue;
      const vcpuCountUsed = vcpuCountOf(wanted.region, usage, counted);
      if (vcpuCountUsed + wanted.shape.vcpuCount > vcpuCountMax) {
        return { usage, vcpuCountMax, vcpuCountUsed };
      }
    }
    return undefined;
  }
}

/** vCPUs of a region that count against a usage counter. */
export function vcpuCountOf(region: string, usage: string, machines: readonly Candidate[]): number {
  return machines
    .filter((one) => one.region === region)
    .filter(({ shape, market }) => azureQuotaFamilies(shape, market).includes(usage))
    .reduce((sum, { shape }) => sum + shape.vcpuCount, 0);
}

function userOf({ region, zone = "", market, shape }: Candidate): CapacityUser {
  return { region, zone, market, instanceType: shape.instanceType };
}

function usageKey(region: string, usage: string): string {
  return `${region}/${usage.toLowerCase()}`;
}
