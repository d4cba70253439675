/**
 * Complete listings of machines and of what is left of them, in our words.
 *
 * Azure lists machines, power states, interfaces, addresses and disks apart. Whatever carries
 * our cluster's tag and belongs to no machine is left over from a create that failed or a
 * delete that went half-way; it is listed as a node that is terminating, so that whoever
 * releases nodes releases it too.
 */
import type { VirtualMachine } from "@azure/arm-compute";
import { PlatformError, type Clock } from "../../core/index.ts";
import { askEachRegion } from "../by-region.ts";
import { BATCH_TAG, type ProviderNode, type UnseenPlace } from "../provider.ts";
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

/** The machines of a cluster, but for those of regions that do not answer. */
export interface MachineList {
  readonly machines: readonly ListedMachine[];
  readonly unseen: readonly UnseenPlace[];
}

/** All that a cluster has in its resource group, but for regions that do not answer. */
export interface Inventory extends MachineList {
  readonly leftovers: readonly Leftover[];
}

/** Whose machines are listed, and which regions are asked one by one when a list of all fails. */
export interface ListScope {
  readonly clusterId: string;
  readonly regions: readonly string[];
  readonly clock: Clock;
}

/**
 * Everything of a cluster. Makes five lists.
 *
 * @throws PlatformError when any of the lists or any page fails, but for a list of machines that
 *   some regions at least answer.
 */
export async function takeInventory(calls: AzureCalls, scope: ListScope): Promise<Inventory> {
  // A machine that is created between the lists must not make its interface look left over:
  // so what belongs to machines is listed first.
  const resources = (
    await listing(calls, "interfaces, addresses and disks", () =>
      Promise.all([calls.listInterfaces(), calls.listAddresses(), calls.listDisks()]),
    )
  )
    .flat()
    .filter(({ tags }) => tags?.[CLUSTER_TAG] === scope.clusterId);
  const found = resources.map(({ location = "" }) => location).filter((one) => one !== "");
  const regions = [...new Set([...scope.regions, ...found])];
  const { machines, unseen } = await listMachines(calls, { ...scope, regions });
  const silent = new Set(unseen.map(({ region }) => region));
  const seen = resources.filter(({ location = "" }) => !silent.has(location));
  return { machines, unseen, leftovers: leftoversOf(seen, machines) };
}

/**
 * The machines of a cluster. Makes two lists; when that of the whole resource group fails, each
 * region is asked for its own, so that one that is down hides its own machines and no others.
 *
 * @throws PlatformError when no region answers, or the states of machines cannot be had though
 *   their list can.
 */
export async function listMachines(calls: AzureCalls, scope: ListScope): Promise<MachineList> {
  const [listed, states] = await Promise.allSettled([
    listMachineModels(calls),
    listing(calls, "machines' states", () => calls.listMachineStates()),
  ]);
  if (listed.status === "fulfilled") {
    if (states.status === "rejected") throw states.reason;
    return { machines: ownMachines(listed.value, states.value, scope), unseen: [] };
  }
  if (!isOutage(listed.reason)) throw listed.reason;
  const { answers, unseen } = await askEachRegion(
    scope.regions,
    (region) => listing(calls, `machines in ${region}`, () => calls.listMachinesIn(region)),
    scope.clock,
  );
  const inGroup = `/resourcegroups/${calls.resourceGroup.toLowerCase()}/`;
  const machines = answers
    .flatMap(({ answer }) => answer)
    .filter(({ id }) => keyOf(id).includes(inGroup));
  // Without its power state a machine counts as what its provisioning says.
  const known = states.status === "fulfilled" ? states.value : [];
  return { machines: ownMachines(machines, known, scope), unseen };
}

/** All machines of the resource group, whosever they are. @throws PlatformError when it fails */
export function listMachineModels(calls: AzureCalls): Promise<readonly VirtualMachine[]> {
  return listing(calls, "machines", () => calls.listMachines());
}

function isOutage(error: unknown): boolean {
  if (!(error instanceof PlatformError)) return false;
  return error.code === "unavailable" || error.code === "timed_out";
}

function ownMachines(
  machines: readonly VirtualMachine[],
  states: readonly VirtualMachine[],
  { clusterId }: ListScope,
): readonly ListedMachine[] {
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

/** The region in a `providerNodeId`. */
export function regionOf(providerNodeId: string): string {
  return providerNodeId.split("/")[0] ?? "";
}

/** The machine's name in a `providerNodeId`; undefined when it is not one of this adapter. */
export function machineNameOf(providerNodeId: string): string | undefined {
  return /^[a-z0-9]+\/([a-z0-9-]+)$/.exec(providerNodeId)?.[1];
}

/**
 * The node that a machine of this cluster with that name is of; undefined for any other name. A
 * node id is a prefix, `_` and letters and digits, so that a name can be read back and compared.
 */
export function nodeIdOfMachine(name: string, clusterId: string): string | undefined {
  const readable = /^(.+)-[0-9a-f]+$/.exec(name)?.[1] ?? "";
  const nodeId = readable.replace("-", "_");
  return namesOf(nodeId, clusterId).machine === name ? nodeId : undefined;
}

function leftoversOf(
  resources: readonly AzureResource[],
  machines: readonly ListedMachine[],
): readonly Leftover[] {
  const held = new Set(machines.map(({ machine }) => machine.tags?.[NODE_TAG]));
  const byNode = new Map<string, Leftover>();
  for (const { tags = {}, location = "" } of resources) {
    const nodeId = tags[NODE_TAG];
    if (nodeId === undefined || held.has(nodeId)) continue;
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
