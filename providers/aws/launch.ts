/** What RunInstances is asked for. */
import { createHash } from "node:crypto";
import type { RunInstancesCommandInput, Tag } from "@aws-sdk/client-ec2";
import type { Offer } from "../../core/index.ts";
import { BATCH_TAG, type RentRequest } from "../provider.ts";

/** Tag keys: the cluster from a machine's first moment, the node as soon as it is known. */
export const CLUSTER_TAG = "flotilla:cluster";
export const NODE_TAG = "flotilla:node";
/** Fingerprint of the node ids of a batch, so that its token cannot serve other nodes. */
export const NODES_TAG = "flotilla:nodes";

/**
 * The machine image when none is set for a region: AWS's own image with NVIDIA drivers, by a
 * public parameter that EC2 resolves. Needs the permission `ssm:GetParameters`.
 *
 * Source: AWS Deep Learning AMI developer guide, release notes of "Deep Learning Base OSS
 * Nvidia Driver GPU AMI (Ubuntu 22.04)" (read 2026-11).
 */
export const DEFAULT_IMAGE_ID =
  "resolve:ssm:/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-ubuntu-22.04/latest/ami-id";

/** What a launch needs beside the rent request. */
export interface LaunchSettings {
  readonly clusterId: string;
  readonly imageId: string;
}

/** Instances of one offer for some nodes of a request. */
export interface LaunchPart {
  readonly offer: Offer;
  readonly count: number;
  readonly clientToken: string;
}

/**
 * Instances of one offer, tagged at birth.
 *
 * They are terminated, not stopped, when they shut themselves down; their metadata endpoint
 * answers only sessions of the machine itself (IMDSv2, one hop), never a container behind a
 * bridge.
 */
export function launchInput(
  request: RentRequest,
  { offer, count, clientToken }: LaunchPart,
  { clusterId, imageId }: LaunchSettings,
): RunInstancesCommandInput {
  const tags = tagList({
    ...request.tags,
    [CLUSTER_TAG]: clusterId,
    [BATCH_TAG]: request.clientToken,
    [NODES_TAG]: nodesFingerprint(request),
  });
  return {
    MinCount: 1,
    MaxCount: count,
    ClientToken: clientToken,
    ImageId: imageId,
    InstanceType: instanceTypeOf(offer.instanceType),
    InstanceInitiatedShutdownBehavior: "terminate",
    MetadataOptions: { HttpTokens: "required", HttpPutResponseHopLimit: 1 },
    UserData: Buffer.from(request.userData, "utf8").toString("base64"),
    TagSpecifications: [
      { ResourceType: "instance", Tags: tags },
      { ResourceType: "volume", Tags: tags },
    ],
    ...(offer.zone === undefined ? {} : { Placement: { AvailabilityZone: offer.zone } }),
    ...(offer.purchase === "spot" ? { InstanceMarketOptions: SPOT } : {}),
  };
}

const SPOT = {
  MarketType: "spot",
  SpotOptions: { SpotInstanceType: "one-time", InstanceInterruptionBehavior: "terminate" },
} as const;

/** Equal for requests with the same node ids in the same order. */
export function nodesFingerprint({ nodeIds }: RentRequest): string {
  return createHash("sha256").update(nodeIds.join()).digest("hex").slice(0, 32);
}

/** Tags as EC2 takes them. */
export function tagList(tags: Readonly<Record<string, string>>): Tag[] {
  return Object.entries(tags).map(([Key, Value]) => ({ Key, Value }));
}

/** The SDK lists the types it knew when it was made; EC2 itself judges the name. */
function instanceTypeOf(
  instanceType: string,
): NonNullable<RunInstancesCommandInput["InstanceType"]> {
  return instanceType as NonNullable<RunInstancesCommandInput["InstanceType"]>;
}
