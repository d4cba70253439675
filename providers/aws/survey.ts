/** Instances of the account that carry no cluster's tag. */
import { marksIn, type UnclaimedMachine } from "../provider.ts";
import type { Ec2Calls } from "./calls.ts";
import { CLUSTER_TAG } from "./launch.ts";
import { listInstances, providerNodeOf } from "./listing.ts";

/** What exists and is not on its way out; a stopped instance still has its disks on the bill. */
const EXISTING = { name: "instance-state-name", values: ["pending", "running", "stopped"] };

/** All instances of a region that no cluster claims: a call for each thousand instances there. */
export async function surveyRegion(calls: Ec2Calls): Promise<readonly UnclaimedMachine[]> {
  const instances = await listInstances(calls, [EXISTING]);
  return instances
    .map((instance) => providerNodeOf(calls.region, instance))
    .filter(({ tags }) => tags[CLUSTER_TAG] === undefined)
    .map(({ providerNodeId, nodeId, clientToken, launchedAtMs, tags }) => ({
      providerNodeId,
      ...(nodeId === undefined ? {} : { nodeId }),
      ...(clientToken === undefined ? {} : { clientToken }),
      marks: marksIn(tags),
      launchedAtMs,
    }));
}
