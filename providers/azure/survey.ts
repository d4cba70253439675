/** Machines of the resource group that carry no cluster's tag. */
import type { VirtualMachine } from "@azure/arm-compute";
import { marksIn, type AccountView, type UnclaimedMachine } from "../provider.ts";
import type { AzureCalls } from "./calls.ts";
import { CLUSTER_TAG } from "./launch.ts";
import { listMachineModels, nodeIdOfMachine, providerNodeOf } from "./listing.ts";

/**
 * All machines of the resource group that no cluster claims: a call for each page of them. The
 * rest of the subscription is none of ours: we put nothing there.
 */
export async function surveyGroup(calls: AzureCalls, clusterId: string): Promise<AccountView> {
  const machines = await listMachineModels(calls);
  return {
    machines: machines
      .filter(({ tags, provisioningState }) => {
        return tags?.[CLUSTER_TAG] === undefined && provisioningState !== "Deleting";
      })
      .map((machine) => unclaimedOf(machine, clusterId))
      .sort((one, other) => (one.providerNodeId < other.providerNodeId ? -1 : 1)),
    unseen: [],
  };
}

/** The name holds a hash of cluster and node, so that it tells whose a machine without tags is. */
function unclaimedOf(machine: VirtualMachine, clusterId: string): UnclaimedMachine {
  const { name = "" } = machine;
  const node = providerNodeOf({ name, machine, powerState: undefined });
  const { providerNodeId, clientToken, launchedAtMs, tags } = node;
  const named = nodeIdOfMachine(name, clusterId);
  const nodeId = node.nodeId ?? named;
  return {
    providerNodeId,
    ...(nodeId === undefined ? {} : { nodeId }),
    ...(clientToken === undefined ? {} : { clientToken }),
    marks: [...marksIn(tags), ...(named === undefined ? [] : [`the name of node ${named}`])],
    launchedAtMs,
  };
}
