/** What Azure says when it has no room, or a quota is used up. */
import { AZURE_SPOT_QUOTA, AZURE_TOTAL_QUOTA } from "../../catalog/index.ts";
import { ArmError } from "./arm-error.ts";
import type { ExceededQuota, ShortageCode } from "./capacity.ts";

/**
 * Messages by code. Sources: "Troubleshoot allocation failures" (Microsoft Learn) and the
 * messages recorded in the tests of karpenter-provider-azure (both read 2026-11).
 */
export const SHORTAGE_MESSAGES: Readonly<Record<ShortageCode, string>> = {
  SkuNotAvailable:
    "The requested VM size is currently not available in the location for the subscription. " +
    "Please try another size or deploy to a different location or different zone. " +
    "See https://aka.ms/azureskunotavailable for details.",
  AllocationFailed:
    "Allocation failed. We do not have sufficient capacity for the requested VM size in this " +
    "region. Read more about improving likelihood of allocation success at " +
    "http://aka.ms/allocation-guidance",
  ZonalAllocationFailed:
    "Allocation failed. We do not have sufficient capacity for the requested VM size in this " +
    "zone. Read more about improving likelihood of allocation success at " +
    "http://aka.ms/allocation-guidance",
  OverconstrainedAllocationRequest:
    "Allocation failed. VM(s) with the following constraints cannot be allocated, because the " +
    "condition is too restrictive. Please remove some constraints and try again.",
  OverconstrainedZonalAllocationRequest:
    "Allocation failed. VM(s) with the following constraints cannot be allocated, because the " +
    "condition is too restrictive. Please remove some constraints and try again. Constraints " +
    "applied are: Availability Zone, VM Size",
};

/** The 409 of a create that would exceed a quota. */
export function quotaError(quota: ExceededQuota, region: string, vcpuCount: number): ArmError {
  const { usage, vcpuCountMax, vcpuCountUsed } = quota;
  return new ArmError(
    409,
    "OperationNotAllowed",
    `Operation could not be completed as it results in exceeding approved ${quotaNameOf(usage)} ` +
      `quota. Additional details - Deployment Model: Resource Manager, Location: ${region}, ` +
      `Current Limit: ${vcpuCountMax}, Current Usage: ${vcpuCountUsed}, Additional Required: ` +
      `${vcpuCount}, (Minimum) New Limit Required: ${vcpuCountUsed + vcpuCount}.`,
  );
}

function quotaNameOf(usage: string): string {
  if (usage === AZURE_SPOT_QUOTA) return "LowPriorityCores";
  return usage === AZURE_TOTAL_QUOTA ? "Total Regional Cores" : `${usage} Cores`;
}
