/** What RunInstances is asked for. */
import type { RunInstancesCommandInput, Tag } from "@aws-sdk/client-ec2";
import type { RentRequest } from "../provider.ts";

/** Tag keys that every machine carries from its first moment. */
export const CLUSTER_TAG = "flotilla:cluster";
export const NODE_TAG = "flotilla:node";

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

/**
 * One instance for one rent request, tagged at birth.
 *
 * It is terminated, not stopped, when it shuts itself down; its metadata endpoint answers only
 * sessions of the machine itself (IMDSv2, one hop), never a container behind a bridge.
 */
export function launchInput(
  request: RentRequest,
  { clusterId, imageId }: LaunchSettings,
): RunInstancesCommandInput {
  const { offer, nodeId, clientToken, userData } = request;
  const tags = tagList({
    ...request.tags,
    Name: nodeId,
    [CLUSTER_TAG]: clusterId,
    [NODE_TAG]: nodeId,
  });
  return {
    MinCount: 1,
    MaxCount: 1,
    ClientToken: clientToken,
    ImageId: imageId,
    InstanceType: instanceTypeOf(offer.instanceType),
    InstanceInitiatedShutdownBehavior: "terminate",
    MetadataOptions: { HttpTokens: "required", HttpPutResponseHopLimit: 1 },
    UserData: Buffer.from(userData, "utf8").toString("base64"),
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

function tagList(tags: Readonly<Record<string, string>>): Tag[] {
  return Object.entries(tags).map(([Key, Value]) => ({ Key, Value }));
}

/** The SDK lists the types it knew when it was made; EC2 itself judges the name. */
function instanceTypeOf(
  instanceType: string,
): NonNullable<RunInstancesCommandInput["InstanceType"]> {
  return instanceType as NonNullable<RunInstancesCommandInput["InstanceType"]>;
}
