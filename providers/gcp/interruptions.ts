/** Spot machines that are being taken back, by the operations that Compute Engine lists of it. */
import type { Interruption } from "../provider.ts";
import type { GcpOperation } from "./calls.ts";
import { lastOf } from "./launch.ts";
import { providerNodeIdOf } from "./names.ts";

/** Filter for the operations. Source: Compute Engine documentation, Spot VMs (read 2026-11). */
export const PREEMPTIONS = 'operationType = "compute.instances.preempted"';

/** From the notice to the end. Source: Compute Engine documentation, Spot VMs (read 2026-11). */
const NOTICE_MS = 30_000;

/** An older one is news to nobody: the machine has long been gone from the list. */
const AGE_MS_MAX = 3_600_000;

/** Interruptions of the machines that are `known`, each once, in the order of their notices. */
export function interruptionsOf(
  operations: readonly GcpOperation[],
  known: ReadonlySet<string>,
  nowMs: number,
): readonly Interruption[] {
  const interruptions = new Map<string, Interruption>();
  for (const { targetLink, targetId, zone, insertTime } of operations) {
    const noticedAtMs = Date.parse(insertTime ?? "");
    const providerNodeId = providerNodeIdOf({
      zone: lastOf(zone ?? ""),
      name: lastOf(targetLink ?? ""),
      instanceId: String(targetId ?? ""),
    });
    const isNews = nowMs - noticedAtMs < AGE_MS_MAX;
    if (!isNews || !known.has(providerNodeId) || interruptions.has(providerNodeId)) continue;
    const deadlineMs = noticedAtMs + NOTICE_MS;
    interruptions.set(providerNodeId, { providerNodeId, noticedAtMs, deadlineMs });
  }
  return [...interruptions.values()].sort((one, other) => one.noticedAtMs - other.noticedAtMs);
}
