/** Releasing machines, and what is left of machines that are gone. */
import { PlatformError } from "../../core/index.ts";
import type { AzureCalls } from "./calls.ts";
import { deleteLeftovers, type CleanupTools } from "./cleanup.ts";
import { CLUSTER_TAG, namesOf } from "./launch.ts";
import {
  machineNameOf,
  nodeIdOfMachine,
  takeInventory,
  type Inventory,
  type ListScope,
} from "./listing.ts";
import { meaningOf, platformErrorOf } from "./translate.ts";

/**
 * Releases machines of a cluster by their provider ids; each id once. A machine's interface,
 * address and disk go with it; of a machine that is gone what is left is deleted, whatever
 * region it is in.
 *
 * @throws PlatformError for the first that failed, after all were tried.
 */
export async function releaseMachines(
  tools: CleanupTools,
  scope: ListScope,
  providerNodeIds: readonly string[],
): Promise<void> {
  const { clusterId } = scope;
  const names = new Set(providerNodeIds.flatMap((id) => machineNameOf(id) ?? []));
  if (names.size === 0) return;
  const inventory = await takeInventory(tools.calls, scope);
  const releases = [...names].map((name) => releaseOne(tools, { clusterId, inventory, name }));
  for (const result of await Promise.allSettled(releases)) {
    if (result.status === "rejected") throw result.reason;
  }
}

interface OneRelease {
  readonly clusterId: string;
  readonly inventory: Inventory;
  readonly name: string;
}

async function releaseOne(
  tools: CleanupTools,
  { clusterId, inventory, name }: OneRelease,
): Promise<void> {
  const { calls } = tools;
  const details = { machine: name, resourceGroup: calls.resourceGroup };
  try {
    const listed = inventory.machines.find((one) => one.name === name);
    const leftover = inventory.leftovers.find(
      ({ nodeId }) => namesOf(nodeId, clusterId).machine === name,
    );
    // A machine that is too new to be listed is found by its name.
    const isOurs =
      listed !== undefined ||
      (await hasMachine(calls, { clusterId, name, hasOurParts: leftover !== undefined }));
    if (isOurs) {
      if (listed?.machine.provisioningState === "Deleting") return;
      await calls.deleteMachine(name);
    } else if (leftover !== undefined) {
      await deleteLeftovers(tools, namesOf(leftover.nodeId, clusterId));
    }
  } catch (error) {
    if (error instanceof PlatformError) throw error;
    throw platformErrorOf(error, `release machine ${name}`, details);
  }
}

/**
 * Whether there is a machine of that name with our cluster's tag, or with no cluster's tag and
 * either a name that only this cluster gives or an interface or disk of that name with our tag:
 * then somebody took the tag off it. Others are not touched.
 */
async function hasMachine(
  calls: AzureCalls,
  of: { readonly clusterId: string; readonly name: string; readonly hasOurParts: boolean },
): Promise<boolean> {
  try {
    const { tags } = await calls.getMachine(of.name);
    const owner = tags?.[CLUSTER_TAG];
    if (owner !== undefined) return owner === of.clusterId;
    return of.hasOurParts || nodeIdOfMachine(of.name, of.clusterId) !== undefined;
  } catch (error) {
    const meaning = meaningOf(error);
    if (meaning?.kind === "failed" && meaning.code === "not_found") return false;
    throw error;
  }
}
