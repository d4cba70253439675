/** Instances of the project that carry no cluster's label. */
import { marksIn, type AccountView, type UnclaimedMachine } from "../provider.ts";
import type { GcpCalls } from "./calls.ts";
import { CLUSTER_TAG } from "./launch.ts";
import { providerNodeOf, unseenPlaceOf } from "./listing.ts";

/** Names that stand for node ids begin so. */
const NODE_NAME = /\/no-[^/]+\//;

/** On its way out; one that has stopped is not: its disks stay on the bill. */
const LEAVING: ReadonlySet<string> = new Set(["STOPPING", "DEPROVISIONING"]);

/** All instances of the project that no cluster claims: a call for each page of them. */
export async function surveyProject(calls: GcpCalls): Promise<AccountView> {
  const { items, unseenZones } = await calls.aggregateInstances("");
  const machines = items
    .filter(({ status }) => !LEAVING.has(status ?? ""))
    .map(providerNodeOf)
    .filter(({ tags }) => tags[CLUSTER_TAG] === undefined)
    .map(unclaimedOf)
    .sort((one, other) => (one.providerNodeId < other.providerNodeId ? -1 : 1));
  return { machines, unseen: unseenZones.map(unseenPlaceOf) };
}

/** Any name may be read as a node id; only one of the form that node ids have is taken for one. */
function unclaimedOf(machine: ReturnType<typeof providerNodeOf>): UnclaimedMachine {
  const { providerNodeId, nodeId, clientToken, launchedAtMs, tags } = machine;
  const isNamed = nodeId !== undefined && NODE_NAME.test(providerNodeId);
  return {
    providerNodeId,
    ...(isNamed ? { nodeId } : {}),
    ...(clientToken === undefined ? {} : { clientToken }),
    marks: [...marksIn(tags), ...(isNamed ? [`a name like that of node ${nodeId}`] : [])],
    launchedAtMs,
  };
}
