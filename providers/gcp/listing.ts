/** Instances as machines of ours. */
import type { ProviderNode, UnseenPlace } from "../provider.ts";
import { BATCH_TAG } from "../provider.ts";
import type { GcpInstance } from "./calls.ts";
import { lastOf } from "./launch.ts";
import { nodeIdOf, providerNodeIdOf, tagsOf, type MachineRef } from "./names.ts";
import { foreignAnswer, nodeStateOf } from "./translate.ts";

/** Where a listed instance is and which it is. @throws PlatformError for one without a name. */
export function machineRefOf({ name, zone, id }: GcpInstance): MachineRef {
  const instanceId = String(id ?? "");
  const zoneName = lastOf(zone ?? "");
  if (name === undefined || name === null || zoneName === "" || instanceId === "") {
    throw foreignAnswer("list instances", {});
  }
  return { zone: zoneName, name, instanceId };
}

/** A listed instance as a node of ours. */
export function providerNodeOf(instance: GcpInstance): ProviderNode {
  const ref = machineRefOf(instance);
  const tags = tagsOf(instance.labels ?? {});
  const nodeId = nodeIdOf(ref.name);
  const clientToken = tags[BATCH_TAG];
  const launchedAtMs = Date.parse(instance.creationTimestamp ?? "");
  return {
    providerNodeId: providerNodeIdOf(ref),
    ...(nodeId === undefined ? {} : { nodeId }),
    ...(clientToken === undefined ? {} : { clientToken }),
    state: nodeStateOf(instance.status),
    launchedAtMs: Number.isNaN(launchedAtMs) ? 0 : launchedAtMs,
    tags,
  };
}

/** A zone that Compute Engine cannot reach, as a place of ours. */
export function unseenPlaceOf(zone: string): UnseenPlace {
  const reason = `Compute Engine cannot reach zones/${zone} now`;
  return { region: regionOfZone(zone), zone, reason };
}

/** `us-central1` of `us-central1-a`. */
export function regionOfZone(zone: string): string {
  return zone.replace(/-[a-z]$/, "");
}
