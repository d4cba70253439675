/** What the emulated cloud has, what one project may take of it, and how it says no. */
import type { CapacityRule, CapacityUser } from "../shared/capacity-schedule.ts";
import { CapacitySchedule } from "../shared/capacity-schedule.ts";
import { isLive, type Instance, type LaunchSpec } from "./instance.ts";
import type { OperationError } from "./operation.ts";

/** The quota that counts the GPUs of all regions together. */
const GPUS_ALL_REGIONS = "GPUS_ALL_REGIONS";

/** At most `limit` of a metric in use; absent lifts the quota. */
export interface QuotaRule {
  /** Such as `PREEMPTIBLE_NVIDIA_H100_GPUS` or `GPUS_ALL_REGIONS`. */
  readonly metric: string;
  /** Absent for a quota of the whole project. */
  readonly region?: string;
  readonly limit?: number;
}

/** How the cloud says that a zone is short: both codes occur. */
export type StockoutCode =
  "ZONE_RESOURCE_POOL_EXHAUSTED" | "ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS";

/** A quota and what is used of it. */
export interface QuotaUse {
  readonly metric: string;
  readonly limit: number;
  readonly usage: number;
}

/** How many of the wanted machines there is room for, and why not for more. */
export interface Room {
  readonly count: number;
  readonly error?: OperationError;
}

/** Shown for a metric that nobody has limited. */
const UNLIMITED = 1_000_000;

/** The limits in force. */
export class Limits {
  readonly #capacity = new CapacitySchedule();
  readonly #quotas = new Map<string, number>();

  setCapacity(rule: CapacityRule, nowMs: number): void {
    this.#capacity.set(rule, nowMs);
  }

  setQuota({ metric, region = "", limit }: QuotaRule): void {
    const key = `${region}/${metric}`;
    if (limit === undefined) this.#quotas.delete(key);
    else this.#quotas.set(key, limit);
  }

  /** Room for machines like `spec`, at most `wanted`: quotas first, as the cloud checks them. */
  roomFor(
    spec: LaunchSpec,
    wanted: number,
    at: {
      readonly instances: readonly Instance[];
      readonly nowMs: number;
      readonly stockoutCode: StockoutCode;
      readonly projectId: string;
    },
  ): Room {
    const live = at.instances.filter(isLive);
    for (const [metric, region] of metricsOf(spec)) {
      const limit = this.#quotas.get(`${region}/${metric}`);
      if (limit === undefined) continue;
      const left = limit - usageOf(metric, region, live);
      const count = Math.max(0, Math.floor(left / unitsOf(metric, spec)));
      if (count < wanted) {
        return { count, error: quotaExceeded({ metric, region, limit }) };
      }
    }
    const users = live.map((one) => userOf(one.spec));
    const available = this.#capacity.available(userOf(spec), users, at.nowMs);
    if (available >= wanted) return { count: wanted };
    return { count: available, error: stockout(spec, at) };
  }

  /** The quotas of a region (empty text: of the project), limited or in use. */
  quotaUses(region: string, instances: readonly Instance[]): readonly QuotaUse[] {
    const live = instances.filter(isLive);
    const used = live
      .flatMap((one) => metricsOf(one.spec))
      .filter(([, place]) => place === region)
      .map(([metric]) => metric);
    const limited = [...this.#quotas.keys()]
      .filter((key) => key.startsWith(`${region}/`))
      .map((key) => key.slice(region.length + 1));
    return [...new Set([...used, ...limited])].sort().map((metric) => ({
      metric,
      limit: this.#quotas.get(`${region}/${metric}`) ?? UNLIMITED,
      usage: usageOf(metric, region, live),
    }));
  }
}

function userOf({ shape, region, zone, market }: LaunchSpec): CapacityUser {
  return { instanceType: shape.instanceType, region, zone, market };
}

/** The metrics that a machine counts against, each with its region (empty text: all of them). */
function metricsOf({ shape, market, region }: LaunchSpec): readonly (readonly [string, string])[] {
  const { quotaFamily } = shape;
  if (shape.gpuType === undefined) {
    return [[market === "spot" ? "PREEMPTIBLE_CPUS" : quotaFamily, region]];
  }
  const metric = market === "spot" ? `PREEMPTIBLE_${quotaFamily}` : quotaFamily;
  return [
    [metric, region],
    [GPUS_ALL_REGIONS, ""],
  ];
}

function unitsOf(metric: string, { shape }: LaunchSpec): number {
  return metric.endsWith("CPUS") ? shape.vcpuCount : shape.resources.gpuCount;
}

function usageOf(metric: string, region: string, live: readonly Instance[]): number {
  return live
    .filter(({ spec }) => metricsOf(spec).some(([m, r]) => m === metric && r === region))
    .reduce((sum, { spec }) => sum + unitsOf(metric, spec), 0);
}

/** Source: an operation recorded in the field, as SkyPilot's GCP handler parses it (2026-11). */
function quotaExceeded(quota: {
  readonly metric: string;
  readonly region: string;
  readonly limit: number;
}): OperationError {
  const { metric, region, limit } = quota;
  const where = region === "" ? "globally" : `in region ${region}`;
  return {
    code: "QUOTA_EXCEEDED",
    message: `Quota '${metric}' exceeded.  Limit: ${limit.toFixed(1)} ${where}.`,
    status: 403,
    details: [
      {
        quotaInfo: {
          metricName: `compute.googleapis.com/${metric.toLowerCase()}`,
          limitName: `${metric.replaceAll("_", "-")}-per-project-region`,
          dimensions: region === "" ? {} : { region },
          limit,
        },
      },
    ],
  };
}

function stockout(
  { zone, machineType }: LaunchSpec,
  at: { readonly stockoutCode: StockoutCode; readonly projectId: string },
): OperationError {
  const { stockoutCode: code, projectId } = at;
  const place = `projects/${projectId}/zones/${zone}`;
  const message =
    `The zone '${place}' does not have enough resources available to fulfill the request.  ` +
    "Try a different zone, or try again later.";
  if (code === "ZONE_RESOURCE_POOL_EXHAUSTED") return { code, message, status: 503 };
  const metadatas = { vmType: machineType, zone, zonesAvailable: "" };
  const errorInfo = { reason: "resource_availability", domain: "compute.googleapis.com" };
  return {
    code,
    message: `${message}  '(resource type:compute)'.`,
    status: 503,
    details: [{ errorInfo: { ...errorInfo, metadatas } }],
  };
}
