/**
 * Whether the account may rent: a RunInstances that EC2 checks and does not carry out.
 *
 * Source: EC2 API reference, DryRun: `DryRunOperation` when the call would be allowed,
 * `UnauthorizedOperation` otherwise (read 2026-11).
 */
import type { _InstanceType } from "@aws-sdk/client-ec2";
import { messageOf } from "../../core/index.ts";
import type { AccessFinding } from "../provider.ts";
import type { Ec2Calls } from "./calls.ts";
import { CLUSTER_TAG, DEFAULT_IMAGE_ID } from "./launch.ts";
import { errorCodeOf } from "./translate.ts";

/** What is asked for; nothing of it is launched. */
export interface ProbedLaunch {
  readonly clusterId: string;
  /** Absent means `DEFAULT_IMAGE_ID`. */
  readonly imageId?: string | undefined;
  readonly instanceType: string;
}

/** Tries a rent dry in one region. */
export async function probeRegion(
  calls: Ec2Calls,
  { clusterId, imageId = DEFAULT_IMAGE_ID, instanceType }: ProbedLaunch,
): Promise<AccessFinding> {
  const step = `rent in ${calls.region} (dry run)`;
  try {
    await calls.runInstances({
      DryRun: true,
      ImageId: imageId,
      InstanceType: instanceType as _InstanceType,
      MinCount: 1,
      MaxCount: 1,
      TagSpecifications: [
        { ResourceType: "instance", Tags: [{ Key: CLUSTER_TAG, Value: clusterId }] },
      ],
    });
    const detail = `EC2 carried out a dry run; look for a ${instanceType} there`;
    return { step, isGood: false, detail };
  } catch (error) {
    if (errorCodeOf(error) === "DryRunOperation") return { step, isGood: true, detail: "allowed" };
    return {
      step,
      isGood: false,
      detail: `${errorCodeOf(error) ?? "failed"}: ${messageOf(error)}`,
    };
  }
}
