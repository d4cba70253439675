/**
 * Complete listings of machines and of what is left of them, in our words.
 *
 * Azure lists machines, power states, interfaces, addresses and disks apart. Whatever carries
 * our cluster's tag and belongs to no machine is left over from a create that failed or a
 * delete that went half-way; it is listed as a node that is terminating, so that whoever
 * releases nodes releases it too.
 */
import type { VirtualMachine } from "@azure/arm-compute";
import { BATCH_TAG, type ProviderNode } from "../provider.ts";
import type { AzureCalls, AzureResource } from "./calls.ts";
import { CLUSTER_TAG, CREATED_TAG, namesOf, NODE_TAG } from "./launch.ts";
import { foreignAnswer, nodeStateOf, platformErrorOf, statusOf } from "./translate.ts";

/** A machine of our cluster as Azure lists it. */
export interface ListedMachine {
  readonly name: string;
  readonly machine: VirtualMachine;
  /** Such as `running`; absent when Azure has not said. */
  readonly powerState: string | undefined;
}

/** Resources of our cluster that no machine of our cluster has, of one node. */
export interface Leftover {
  readonly nodeId: string;
  readonly region: string;
  readonly createdAtMs: number;
  readonly tags: Readonly<Record<string, string>>;
}

/** All that a cluster has in its resource group. */
export interface Inventory {
  readonly machines: readonly ListedMachine[];
  readonly leftovers: readonly Leftover[];
}

/**
 * Everything of a cluster: complete, or it throws. Makes five lists.
 *
 * @throws PlatformError when any of the lists or any page fails.
 */
export async function takeInventory(calls: AzureCalls, clusterId: string): Promise<Inventory> {
  // A machine that is created between the lists must not make its interface look left over:
  // so what belongs to machines is listed first.
  const resources = await listing(calls, "interfaces, addresses and disks", () =>
    Promise.all([calls.listInterfaces(), calls.listAddresses(), calls.listDisks()]),
  );
  const machines = await listMachines(calls, clusterId);
  return { machines, leftovers: leftoversOf(resources.flat(), machines, clusterId) };
}

/**
 * The machines of a cluster: complete, or it throws. Makes two lists.
 *
 * @throws PlatformError when any of the lists or any page fails.
 */
export async function listMachines(
  calls: AzureCalls,
  clusterId: string,
): Promise<readonly ListedMachine[]> {
  const [machines, states] = await listing(calls, "machines", () =>
    Promise.all([calls.listMachines(), calls.listMachineStates()]),
  );
  const powerStates = new Map(
    states.map((one) => [keyOf(one.id), statusOf(one, "PowerState/")] as const),
  );
  return machines
    .filter(({ tags }) => tags?.[CLUSTER_TAG] === clusterId)
    .map((machine) => {
      const { id, name } = machine;
      if (name === undefined) throw foreignAnswer("list machines", {});
      return { name, machine, powerState: powerStates.get(keyOf(id)) };
    });
}

async function listing<T>(
  { resourceGroup }: AzureCalls,
  what: string,
  list: () => Promise<T>,
): Promise<T> {
  try {
    return await list();
  } catch (error) {
    const attempted = `list the ${what} of resource group ${resourceGroup}`;
    throw platformErrorOf(error, attempted, { resourceGroup });
  }
}

/** A listed machine as a node of ours. */
export function providerNodeOf({ name, machine, powerState }: ListedMachine): ProviderNode {
  const { location, tags = {}, provisioningState, timeCreated } = machine;
  return {
    providerNodeId: providerNodeIdOf(location, name),
    ...namedBy(tags),
    state: nodeStateOf(provisioningState, powerState),
    launchedAtMs: timeCreated?.getTime() ?? createdAtMsOf(tags),
    tags,
  };
}

/** What is left of a machine as a node that is on its way out. */
export function leftoverNodeOf(leftover: Leftover, clusterId: string): ProviderNode {
  const { nodeId, region, createdAtMs, tags } = leftover;
  return {
    providerNodeId: providerNodeIdOf(region, namesOf(nodeId, clusterId).machine),
    ...namedBy(tags),
    state: "terminating",
    launchedAtMs: createdAtMs,
    tags,
  };
}

/** The region makes the id speak for itself; the name is unique in the resource group. */
export function providerNodeIdOf(region: string, machineName: string): string {
  return `${region}/${machineName}`;
}

/** The machine's name in a `providerNodeId`; undefined when it is not one of this adapter. */
export function machineNameOf(providerNodeId: string): string | undefined {
  return /^[a-z0-9]+\/([a-z0-9-]+)$/.exec(providerNodeId)?.[1];
}

function leftoversOf(
  resources: readonly AzureResource[],
  machines: readonly ListedMachine[],
  clusterId: string,
): readonly Leftover[] {
  const held = new Set(machines.map(({ machine }) => machine.tags?.[NODE_TAG]));
  const byNode = new Map<string, Leftover>();
  for (const { tags = {}, location = "" } of resources) {
    const nodeId = tags[NODE_TAG];
    if (tags[CLUSTER_TAG] !== clusterId || nodeId === undefined || held.has(nodeId)) continue;
    byNode.set(nodeId, { nodeId, region: location, createdAtMs: createdAtMsOf(tags), tags });
  }
  return [...byNode.values()];
}

function namedBy(tags: Readonly<Record<string, string>>) {
  const nodeId = tags[NODE_TAG];
  const clientToken = tags[BATCH_TAG];
  return {
    ...(nodeId === undefined ? {} : { nodeId }),
    ...(clientToken === undefined ? {} : { clientToken }),
  };
}

function createdAtMsOf(tags: Readonly<Record<string, string>>): number {
  const createdAtMs = Number(tags[CREATED_TAG]);
  return Number.isFinite(createdAtMs) ? createdAtMs : 0;
}

/** Ids compare without case, and lists differ in it. */
function keyOf(id: string | undefined): string {
  return id?.toLowerCase() ?? "";
}
