/**
 * Renting in one region: RunInstances for one offer after the other.
 *
 * Each offer has a token of its own, derived from the request's, so that a repeated request
 * finds the instances of the first. Instances cannot be tagged differently in one call: they get
 * their nodes in the order of their ids, and the tag that names the node afterwards.
 */
import { createHash } from "node:crypto";
import type { Instance } from "@aws-sdk/client-ec2";
import { PlatformError, type Offer } from "../../core/index.ts";
import type { RentOutcome, RentRefusal, RentRequest } from "../provider.ts";
import { attemptOf, detailsOf } from "../rent-request.ts";
import type { Ec2Calls } from "./calls.ts";
import {
  launchInput,
  NODE_TAG,
  NODES_TAG,
  nodesFingerprint,
  type LaunchPart,
  type LaunchSettings,
} from "./launch.ts";
import { listInstances, ofCluster, providerNodeIdOf, providerNodeOf } from "./listing.ts";
import { foreignAnswer, meaningOf, platformErrorOf } from "./translate.ts";

/** Instances that an offer gave, or why it gave none. */
type Part =
  | { readonly kind: "launched"; readonly instances: readonly Instance[] }
  | { readonly kind: "refused"; readonly refusal: RentRefusal };

/** Rents for all nodes of a request, as far as its offers go. */
export async function rentInRegion(
  calls: Ec2Calls,
  request: RentRequest,
  settings: LaunchSettings,
): Promise<RentOutcome> {
  const found: { readonly instanceId: string; readonly offer: Offer; readonly tagged: boolean }[] =
    [];
  const refusals: RentRefusal[] = [];
  for (const offer of request.offers) {
    const count = request.nodeIds.length - found.length;
    if (count === 0) break;
    const part = await launch(
      calls,
      request,
      { offer, count, clientToken: tokenOf(request, offer) },
      settings,
    );
    if (part.kind === "refused") {
      refusals.push(part.refusal);
      continue;
    }
    for (const instance of part.instances) {
      if (instance.InstanceId === undefined) {
        throw foreignAnswer(attemptOf(request), detailsOf(request));
      }
      const tagged = instance.Tags?.some(({ Key }) => Key === NODE_TAG) ?? false;
      found.push({ instanceId: instance.InstanceId, offer, tagged });
    }
    if (part.instances.length < count) refusals.push(noMoreOf(offer, part.instances.length));
  }
  found.sort((one, other) => (one.instanceId < other.instanceId ? -1 : 1));
  const rented = request.nodeIds.flatMap((nodeId, index) => {
    const machine = found[index];
    return machine === undefined ? [] : [{ nodeId, ...machine }];
  });
  const untagged = rented.filter(({ tagged }) => !tagged);
  await Promise.all(untagged.map((one) => tagNode(calls, one.instanceId, one.nodeId)));
  return {
    rented: rented.map(({ nodeId, instanceId, offer }) => ({
      nodeId,
      providerNodeId: providerNodeIdOf(calls.region, instanceId),
      offerId: offer.offerId,
    })),
    refusals,
  };
}

async function launch(
  calls: Ec2Calls,
  request: RentRequest,
  part: LaunchPart,
  settings: LaunchSettings,
): Promise<Part> {
  try {
    const { Instances } = await calls.runInstances(launchInput(request, part, settings));
    if (Instances?.[0]?.InstanceId === undefined) {
      throw foreignAnswer(attemptOf(request), detailsOf(request));
    }
    return { kind: "launched", instances: Instances };
  } catch (error) {
    if (error instanceof PlatformError) throw error;
    return afterFailedLaunch({ calls, request, settings, part, error });
  }
}

interface FailedLaunch {
  readonly calls: Ec2Calls;
  readonly request: RentRequest;
  readonly settings: LaunchSettings;
  readonly part: LaunchPart;
  readonly error: unknown;
}

/** A refusal as a value; a token that was used differently is looked up; the rest throws. */
async function afterFailedLaunch(failed: FailedLaunch): Promise<Part> {
  const { request, part, error } = failed;
  const { offerId, quotaGroups } = part.offer;
  const meaning = meaningOf(error);
  if (meaning?.kind === "refused") {
    const [quotaGroup] = quotaGroups;
    const reason = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    const scope =
      meaning.scope === "offer" || quotaGroup === undefined
        ? ({ kind: "offer" } as const)
        : ({ kind: "quota", quotaGroup } as const);
    return { kind: "refused", refusal: { offerId, reason, scope } };
  }
  const adopted = meaning?.code === "conflict" ? await adopt(failed) : [];
  if (adopted.length > 0) return { kind: "launched", instances: adopted };
  throw platformErrorOf(error, attemptOf(request), detailsOf(request));
}

/**
 * The instances that this token already rented for the same nodes: with other parameters, or
 * terminated since. Both are what the token stands for; the listing tells their state.
 */
async function adopt({
  calls,
  request,
  settings,
  part,
}: FailedLaunch): Promise<readonly Instance[]> {
  const instances = await listInstances(calls, [
    ofCluster(settings.clusterId),
    { name: "client-token", values: [part.clientToken] },
  ]);
  const fingerprint = nodesFingerprint(request);
  const isOurs = instances.every((instance) => {
    const { tags } = providerNodeOf(calls.region, instance);
    return tags[NODES_TAG] === fingerprint;
  });
  return isOurs ? instances : [];
}

/** Best effort: a machine without the tag still carries its batch, and a repeat mends it. */
async function tagNode(calls: Ec2Calls, instanceId: string, nodeId: string): Promise<void> {
  try {
    await calls.createTags(instanceId, { [NODE_TAG]: nodeId, Name: nodeId });
  } catch (error) {
    if (meaningOf(error) === undefined) throw error;
  }
}

function noMoreOf({ offerId, instanceType }: Offer, count: number): RentRefusal {
  const reason = `EC2 had ${count} ${instanceType} and no more`;
  return { offerId, reason, scope: { kind: "offer" } };
}

function tokenOf({ clientToken }: RentRequest, { offerId }: Offer): string {
  return createHash("sha256").update(`${clientToken} ${offerId}`).digest("hex");
}
