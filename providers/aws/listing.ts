/** Complete listings of instances, in our words. */
import type { Instance } from "@aws-sdk/client-ec2";
import { PlatformError } from "../../core/index.ts";
import { BATCH_TAG, type ProviderNode } from "../provider.ts";
import type { Ec2Calls } from "./calls.ts";
import { CLUSTER_TAG, NODE_TAG } from "./launch.ts";
import { foreignAnswer, nodeStateOf, platformErrorOf } from "./translate.ts";

/** A filter of DescribeInstances: some value of the list must fit. */
export interface InstanceFilter {
  readonly name: string;
  readonly values: readonly string[];
}

const PAGE_SIZE = 1_000;
/** Guards against a server that pages for ever: a million instances. */
const PAGE_COUNT_MAX = 1_000;

/** The filter for machines of one cluster. */
export function ofCluster(clusterId: string): InstanceFilter {
  return { name: `tag:${CLUSTER_TAG}`, values: [clusterId] };
}

/**
 * All instances of a region that pass the filters: complete, or it throws.
 *
 * @throws PlatformError also when a page has no `reservationSet`: a foreign 200 parses to an
 * empty answer, and must never look like an empty region.
 */
export async function listInstances(
  calls: Ec2Calls,
  filters: readonly InstanceFilter[],
): Promise<readonly Instance[]> {
  const attempted = `list instances in ${calls.region}`;
  const details = { region: calls.region };
  const instances: Instance[] = [];
  let nextToken: string | undefined;
  for (let page = 0; page < PAGE_COUNT_MAX; page += 1) {
    const output = await calls
      .describeInstances({
        Filters: filters.map(({ name, values }) => ({ Name: name, Values: [...values] })),
        MaxResults: PAGE_SIZE,
        ...(nextToken === undefined ? {} : { NextToken: nextToken }),
      })
      .catch((error: unknown) => {
        throw platformErrorOf(error, attempted, details);
      });
    if (output.Reservations === undefined) throw foreignAnswer(attempted, details);
    instances.push(...output.Reservations.flatMap(({ Instances }) => Instances ?? []));
    nextToken = output.NextToken;
    if (nextToken === undefined || nextToken === "") return instances;
  }
  throw new PlatformError(
    `could not ${attempted}: more than ${PAGE_COUNT_MAX} pages; check the endpoint`,
    { code: "unavailable", retryable: true, details },
  );
}

/** A listed instance as a node of ours. @throws PlatformError for one without an id. */
export function providerNodeOf(region: string, instance: Instance): ProviderNode {
  const instanceId = instance.InstanceId;
  if (instanceId === undefined) throw foreignAnswer(`list instances in ${region}`, { region });
  const tags = Object.fromEntries(
    (instance.Tags ?? []).map(({ Key = "", Value = "" }) => [Key, Value]),
  );
  const nodeId = tags[NODE_TAG];
  const clientToken = tags[BATCH_TAG];
  return {
    providerNodeId: providerNodeIdOf(region, instanceId),
    ...(nodeId === undefined ? {} : { nodeId }),
    ...(clientToken === undefined ? {} : { clientToken }),
    state: nodeStateOf(instance.State?.Name),
    launchedAtMs: instance.LaunchTime?.getTime() ?? 0,
    tags,
  };
}

/** The region belongs to the id: an instance id alone does not say where to ask. */
export function providerNodeIdOf(region: string, instanceId: string): string {
  return `${region}/${instanceId}`;
}

/** The parts of a `providerNodeId`; undefined when it is not one of this adapter. */
export function parseProviderNodeId(
  providerNodeId: string,
): { readonly region: string; readonly instanceId: string } | undefined {
  const [, region, instanceId] = /^([a-z0-9-]+)\/(i-[0-9a-f]+)$/.exec(providerNodeId) ?? [];
  return region === undefined || instanceId === undefined ? undefined : { region, instanceId };
}
