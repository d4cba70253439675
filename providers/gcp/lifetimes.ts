/**
 * Machines of the legacy preemptible kind, which end after a day at the latest.
 *
 * None is rented: Spot machines cost the same and have no such end, and Compute Engine calls them
 * the latest version of the preemptible ones. One that carries our tags all the same, as when
 * another tool made it, is listed like any other, and its end is told ahead, so that it is
 * replaced before.
 *
 * Source: Compute Engine documentation, "Preemptible VM instances" and "Spot VMs" (read 2026-11).
 */
import { MS_PER_HOUR, MS_PER_MINUTE } from "../../core/index.ts";
import type { Interruption } from "../provider.ts";
import type { GcpInstance } from "./calls.ts";
import { providerNodeOf } from "./listing.ts";

/** A legacy preemptible machine runs no longer than this. */
const LIFETIME_MS = 24 * MS_PER_HOUR;

/** So long before the end it is told of: enough for another machine to boot and for a drain. */
export const LIFETIME_NOTICE_MS = 20 * MS_PER_MINUTE;

/** Ends by lifetime that are near, of the machines of a listing, in its order. */
export function lifetimeEndsOf(
  instances: readonly GcpInstance[],
  nowMs: number,
): readonly Interruption[] {
  return instances.filter(isLegacyPreemptible).flatMap((instance) => {
    const { providerNodeId, launchedAtMs } = providerNodeOf(instance);
    const deadlineMs = launchedAtMs + LIFETIME_MS;
    const noticedAtMs = deadlineMs - LIFETIME_NOTICE_MS;
    return nowMs < noticedAtMs ? [] : [{ providerNodeId, noticedAtMs, deadlineMs }];
  });
}

function isLegacyPreemptible({ scheduling }: GcpInstance): boolean {
  return scheduling?.preemptible === true && scheduling.provisioningModel !== "SPOT";
}
