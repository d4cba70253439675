/** EC2's limits: how often its actions may be called, and its quotas by family and market. */
import type { PurchaseOption } from "../../core/index.ts";
import type { RateLimit } from "../rate-limit.ts";

/**
 * Buckets of single actions and of the rest by kind; half of what EC2 gives an account, since
 * others share it.
 *
 * Source: EC2 developer guide, "Request throttling for the Amazon EC2 API", tables of request
 * token buckets (read 2026-11): non-mutating 100 and 20 a second, mutating 50 and 5 a second,
 * RunInstances 5 and 2 a second, TerminateInstances 100 and 5 a second, each per region.
 */
const ACTION_LIMITS: Readonly<Record<string, RateLimit>> = {
  RunInstances: { burst: 5, perSecond: 2 },
  TerminateInstances: { burst: 100, perSecond: 5 },
};
const READ_LIMIT: RateLimit = { burst: 100, perSecond: 20 };
const CHANGE_LIMIT: RateLimit = { burst: 50, perSecond: 5 };
const OWN_SHARE = 0.5;

/** The limit of a bucket named `region/Action`. */
export function ec2LimitOf(api: string): RateLimit {
  const action = api.slice(api.indexOf("/") + 1);
  const kind = action.startsWith("Describe") ? READ_LIMIT : CHANGE_LIMIT;
  const { burst, perSecond } = ACTION_LIMITS[action] ?? kind;
  return { burst: Math.max(1, Math.floor(burst * OWN_SHARE)), perSecond: perSecond * OWN_SHARE };
}

/** A quota in Service Quotas: what its owner asks AWS to raise. */
export interface QuotaCode {
  readonly family: string;
  readonly purchase: PurchaseOption;
  readonly code: string;
  readonly name: string;
}

/**
 * Quotas of service `ec2`, in vCPUs.
 *
 * Source: Service Quotas console, Amazon EC2; the codes of the families P and G are also in
 * Terraform and Karpenter examples (read 2026-11). Those of Standard were not read again.
 */
export const QUOTA_CODES: readonly QuotaCode[] = [
  row("P", "on-demand", "L-417A185B", "Running On-Demand P instances"),
  row("P", "spot", "L-7212CCBC", "All P4, P3 and P2 Spot Instance Requests"),
  row("G", "on-demand", "L-DB2E81BA", "Running On-Demand G and VT instances"),
  row("G", "spot", "L-3819A6DF", "All G and VT Spot Instance Requests"),
  row("Standard", "on-demand", "L-1216C47A", "Running On-Demand Standard instances"),
  row("Standard", "spot", "L-34B43A08", "All Standard Spot Instance Requests"),
];

/** The quota behind a group such as `aws/us-east-1/P/spot`; undefined when it is not known. */
export function quotaCodeOf(quotaGroup: string): QuotaCode | undefined {
  const [, , family, purchase] = quotaGroup.split("/");
  return QUOTA_CODES.find((one) => one.family === family && one.purchase === purchase);
}

/**
 * The limit in the text of a `VcpuLimitExceeded`, in vCPUs; undefined when it has none.
 *
 * Source: EC2 API reference, error codes (read 2026-11): "You have requested more vCPU capacity
 * than your current vCPU limit of 32 allows ...".
 */
export function vcpuLimitIn(message: string): number | undefined {
  const [, digits] = /current vCPU limit of (\d+)/.exec(message) ?? [];
  return digits === undefined ? undefined : Number(digits);
}

function row(family: string, purchase: PurchaseOption, code: string, name: string): QuotaCode {
  return { family, purchase, code, name };
}
