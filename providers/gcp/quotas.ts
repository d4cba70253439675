/**
 * Quotas as Compute Engine's regions tell them: they bound how many nodes of an offer there can be.
 *
 * A Spot machine counts against `PREEMPTIBLE_X` where the project has some of it, and else
 * against `X`. Metrics that a region does not list bound nothing.
 * Source: Compute Engine documentation, quotas of Spot VMs (read 2026-11).
 */
import type { Offer, PurchaseOption } from "../../core/index.ts";
import { instanceShape, quotaGroupOf } from "../catalog/index.ts";
import type { GcpQuota } from "./calls.ts";

const PREEMPTIBLE = "PREEMPTIBLE_";

/** Limits by quota group, in GPUs or vCPUs. */
export type QuotaLimits = ReadonlyMap<string, number>;

/** The limits that the quotas of one region set to its offers. */
export function limitsOf(region: string, quotas: readonly GcpQuota[]): QuotaLimits {
  const limits = new Map<string, number>();
  const named = quotas.flatMap(({ metric, limit }) =>
    typeof metric === "string" && typeof limit === "number" ? [{ metric, limit }] : [],
  );
  const setLimit = (metric: string, purchase: PurchaseOption, limit: number): void => {
    limits.set(quotaGroupOf({ cloud: "gcp", region }, metric, purchase), limit);
  };
  for (const { metric, limit } of named) {
    if (metric.startsWith(PREEMPTIBLE)) continue;
    setLimit(metric, "on-demand", limit);
    setLimit(metric, "spot", limit);
  }
  for (const { metric, limit } of named) {
    if (!metric.startsWith(PREEMPTIBLE) || limit === 0) continue;
    setLimit(metric.slice(PREEMPTIBLE.length), "spot", limit);
  }
  return limits;
}

/** The offer with no more nodes than its quotas allow all of their kind together. */
export function boundedOffer(offer: Offer, limits: QuotaLimits): Offer {
  const shape = instanceShape(offer.cloud, offer.instanceType);
  const unitCount = offer.resources.gpuCount || (shape?.vcpuCount ?? 0);
  if (unitCount === 0) return offer;
  const nodeCounts = offer.quotaGroups
    .flatMap((group) => limits.get(group) ?? [])
    .map((limit) => Math.floor(limit / unitCount));
  const nodeCountMax = Math.min(offer.nodeCountMax, ...nodeCounts);
  return nodeCountMax === offer.nodeCountMax ? offer : { ...offer, nodeCountMax };
}
