/** What RunInstances, CreateLaunchTemplate and CreateFleet are asked for. */
import { createHash } from "node:crypto";
import type {
  CreateFleetCommandInput,
  CreateLaunchTemplateCommandInput,
  RunInstancesCommandInput,
  Tag,
} from "@aws-sdk/client-ec2";
import { PlatformError, type Offer } from "../../core/index.ts";
import { BATCH_TAG, type RentRequest } from "../provider.ts";
import { attemptOf, detailsOf } from "../rent-request.ts";

/** Tag keys: the cluster from a machine's first moment, the node where it can be told by then. */
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

/** Source: EC2 user guide, "user data is limited to 16 KB, in raw form" (read 2026-11). */
const USER_DATA_BYTES_MAX = 16_384;

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
 * What every instance of a request has, however it is launched.
 *
 * It is terminated, not stopped, when it shuts itself down; its metadata endpoint answers only
 * sessions of the machine itself (IMDSv2, one hop), never a container behind a bridge.
 *
 * @throws PlatformError `payload_too_large` when the user data is more than EC2 takes.
 */
function instanceOf(request: RentRequest, { imageId }: LaunchSettings) {
  const bytes = Buffer.from(request.userData, "utf8");
  if (bytes.length > USER_DATA_BYTES_MAX) {
    throw new PlatformError(
      `cannot ${attemptOf(request)}: its user data has ${bytes.length} bytes, and EC2 takes ` +
        `${USER_DATA_BYTES_MAX}; let the machine download what it needs`,
      { code: "payload_too_large", retryable: false, details: detailsOf(request) },
    );
  }
  return {
    ImageId: imageId,
    InstanceInitiatedShutdownBehavior: "terminate",
    MetadataOptions: { HttpTokens: "required", HttpPutResponseHopLimit: 1 },
    UserData: bytes.toString("base64"),
  } as const;
}

/** Tags of every instance of a request, known before it is born. */
function tagsOf(request: RentRequest, { clusterId }: LaunchSettings): Tag[] {
  const [nodeId = "", ...others] = request.nodeIds;
  return tagList({
    ...request.tags,
    Name: others.length === 0 ? nodeId : request.clientToken,
    [CLUSTER_TAG]: clusterId,
    [BATCH_TAG]: request.clientToken,
    [NODES_TAG]: nodesFingerprint(request),
    ...(others.length === 0 ? { [NODE_TAG]: nodeId } : {}),
  });
}

/** Instances of one offer, tagged at birth. */
export function launchInput(
  request: RentRequest,
  { offer, count, clientToken }: LaunchPart,
  settings: LaunchSettings,
): RunInstancesCommandInput {
  const tags = tagsOf(request, settings);
  return {
    ...instanceOf(request, settings),
    MinCount: 1,
    MaxCount: count,
    ClientToken: clientToken,
    InstanceType: instanceTypeOf(offer.instanceType),
    TagSpecifications: [
      { ResourceType: "instance", Tags: tags },
      { ResourceType: "volume", Tags: tags },
    ],
    ...(offer.zone === undefined ? {} : { Placement: { AvailabilityZone: offer.zone } }),
    ...(offer.purchase === "spot" ? { InstanceMarketOptions: SPOT } : {}),
  };
}

/** A launch template that holds all of a request but its types, zones and market. */
export interface Template {
  /** Made from a hash of its content: equal content has one name. */
  readonly name: string;
  readonly input: CreateLaunchTemplateCommandInput;
}

/** The template of a request; instant fleets tag their instances, so disks are tagged here. */
export function templateOf(request: RentRequest, settings: LaunchSettings): Template {
  const tags = tagsOf(request, settings);
  const data = {
    ...instanceOf(request, settings),
    TagSpecifications: [{ ResourceType: "volume" as const, Tags: tags }],
  };
  const hash = hashOf(JSON.stringify(data));
  const name = `${templatePrefixOf(settings.clusterId)}${hash}`;
  return {
    name,
    input: {
      LaunchTemplateName: name,
      ClientToken: hash,
      LaunchTemplateData: data,
      TagSpecifications: [
        {
          ResourceType: "launch-template",
          Tags: tagList({ [CLUSTER_TAG]: settings.clusterId }),
        },
      ],
    },
  };
}

/** How the names of a cluster's launch templates begin. */
export function templatePrefixOf(clusterId: string): string {
  return `flotilla-${hashOf(clusterId).slice(0, 12)}-`;
}

/**
 * An instant fleet of `count` instances by a request's offers, best first.
 *
 * The strategies take pools with capacity and, among those, keep to the given order where they
 * can. A spot instance costs at most the on-demand price, as EC2 has it without a maximum.
 */
export function fleetInput(
  request: RentRequest,
  { templateName, count, clientToken }: FleetPart,
  settings: LaunchSettings,
): CreateFleetCommandInput {
  const isSpot = request.offers[0]?.purchase === "spot";
  return {
    Type: "instant",
    ClientToken: clientToken,
    LaunchTemplateConfigs: [
      {
        LaunchTemplateSpecification: { LaunchTemplateName: templateName, Version: "1" },
        Overrides: request.offers.map(({ instanceType, zone }, Priority) => ({
          InstanceType: instanceTypeOf(instanceType),
          ...(zone === undefined ? {} : { AvailabilityZone: zone }),
          Priority,
        })),
      },
    ],
    TargetCapacitySpecification: {
      TotalTargetCapacity: count,
      DefaultTargetCapacityType: isSpot ? "spot" : "on-demand",
    },
    ...(isSpot
      ? { SpotOptions: { AllocationStrategy: "capacity-optimized-prioritized" as const } }
      : { OnDemandOptions: { AllocationStrategy: "prioritized" as const } }),
    TagSpecifications: [{ ResourceType: "instance", Tags: tagsOf(request, settings) }],
  };
}

/** One try of a fleet. */
export interface FleetPart {
  readonly templateName: string;
  readonly count: number;
  readonly clientToken: string;
}

const SPOT = {
  MarketType: "spot",
  SpotOptions: { SpotInstanceType: "one-time", InstanceInterruptionBehavior: "terminate" },
} as const;

/** Equal for requests with the same node ids in the same order. */
export function nodesFingerprint({ nodeIds }: RentRequest): string {
  return hashOf(nodeIds.join()).slice(0, 32);
}

function tagList(tags: Readonly<Record<string, string>>): Tag[] {
  return Object.entries(tags).map(([Key, Value]) => ({ Key, Value }));
}

function hashOf(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** The SDK lists the types it knew when it was made; EC2 itself judges the name. */
function instanceTypeOf(
  instanceType: string,
): NonNullable<RunInstancesCommandInput["InstanceType"]> {
  return instanceType as NonNullable<RunInstancesCommandInput["InstanceType"]>;
}
