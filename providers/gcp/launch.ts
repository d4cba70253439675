/** What Compute Engine is asked for when machines are rented. */
import type { Offer } from "../../core/index.ts";
import { BATCH_TAG, type RentRequest } from "../provider.ts";
import type { GcpBulk, GcpInstance } from "./calls.ts";
import { instanceNameOf, labelsOf, requestIdOf } from "./names.ts";

/** Tag of the cluster, which every machine carries from its first moment. */
export const CLUSTER_TAG = "flotilla:cluster";

/**
 * The machine image when none is set: Ubuntu with NVIDIA's drivers, which reads `user-data` by
 * cloud-init. Machines without GPUs take it too.
 *
 * Source: Compute Engine documentation, accelerator-optimized images of Ubuntu, project
 * `ubuntu-os-accelerator-images` (family in public use 2026-09).
 */
export const DEFAULT_IMAGE =
  "projects/ubuntu-os-accelerator-images/global/images/family/ubuntu-accelerator-2204-amd64-with-nvidia-580";

/** The network that every project has unless it was deleted. */
export const DEFAULT_NETWORK = "global/networks/default";

const BOOT_DISK_GB = "100";

/** What a launch needs beside the rent request. */
export interface LaunchSettings {
  readonly clusterId: string;
  readonly image: string;
  readonly network: string;
}

/** A machine type as Compute Engine takes it apart. */
interface MachineParts {
  readonly machineType: string;
  readonly accelerator?: { readonly type: string; readonly count: number };
}

/** Accelerators that are attached to a machine, by the GPU in the catalog's instance type. */
const ACCELERATOR_TYPES: Readonly<Record<string, string>> = {
  T4: "nvidia-tesla-t4",
  V100: "nvidia-tesla-v100",
};

/** The request id of a batch's step in one zone. */
export function stepIdOf({ clientToken, nodeIds }: RentRequest, { offerId }: Offer): string {
  return requestIdOf(clientToken, offerId, nodeIds.length === 1 ? "insert" : "bulkInsert");
}

/** One instance of an offer, named after its node. */
export function instanceBody(
  request: RentRequest,
  { offer, zone, name }: { readonly offer: Offer; readonly zone: string; readonly name: string },
  settings: LaunchSettings,
): GcpInstance {
  const { machineType, accelerator } = machinePartsOf(offer.instanceType);
  const inZone = (kind: string, what: string): string => `zones/${zone}/${kind}/${what}`;
  return {
    name,
    machineType: inZone("machineTypes", machineType),
    ...sharedBody(request, offer, settings),
    disks: [bootDisk(settings, inZone("diskTypes", diskTypeOf(machineType)))],
    ...(accelerator === undefined
      ? {}
      : {
          guestAccelerators: [
            {
              acceleratorType: inZone("acceleratorTypes", accelerator.type),
              acceleratorCount: accelerator.count,
            },
          ],
        }),
  };
}

/** Instances of an offer, each named after its node; one is enough for the call to go well. */
export function bulkBody(
  request: RentRequest,
  { offer, names }: { readonly offer: Offer; readonly names: readonly string[] },
  settings: LaunchSettings,
): GcpBulk {
  const { machineType, accelerator } = machinePartsOf(offer.instanceType);
  return {
    count: names.length,
    minCount: 1,
    perInstanceProperties: Object.fromEntries(names.map((name) => [name, {}])),
    instanceProperties: {
      machineType,
      ...sharedBody(request, offer, settings),
      disks: [bootDisk(settings, diskTypeOf(machineType))],
      ...(accelerator === undefined
        ? {}
        : {
            guestAccelerators: [
              { acceleratorType: accelerator.type, acceleratorCount: accelerator.count },
            ],
          }),
    },
  };
}

/** The names of a request's machines by node id. @throws PlatformError for an id without one. */
export function namesOf({ nodeIds }: RentRequest): ReadonlyMap<string, string> {
  return new Map(nodeIds.map((nodeId) => [nodeId, instanceNameOf(nodeId)]));
}

/** The catalog's instance type of a listed instance, such as `n1-standard-8+1xT4`. */
export function instanceTypeOf({ machineType, guestAccelerators }: GcpInstance): string {
  const [attached] = guestAccelerators ?? [];
  const name = lastOf(machineType ?? "");
  const type = lastOf(attached?.acceleratorType ?? "");
  const [model] = Object.entries(ACCELERATOR_TYPES).find(([, known]) => known === type) ?? [];
  return model === undefined ? name : `${name}+${attached?.acceleratorCount ?? 0}x${model}`;
}

/** What follows the last slash of an address. */
export function lastOf(link: string): string {
  return link.slice(link.lastIndexOf("/") + 1);
}

function machinePartsOf(instanceType: string): MachineParts {
  const [, machineType, count, model = ""] = /^(.+)\+(\d+)x(.+)$/.exec(instanceType) ?? [];
  const type = ACCELERATOR_TYPES[model];
  if (machineType === undefined || type === undefined) return { machineType: instanceType };
  return { machineType, accelerator: { type, count: Number(count) } };
}

/**
 * Labels at birth, so that no machine is ever without an owner; no service account, so that
 * nothing on the machine speaks for the project. A Spot machine is deleted when it is taken back:
 * a stopped one would keep its disk on the bill. None restarts by itself: it would come back as
 * a node that was given up.
 */
function sharedBody(
  { clientToken, userData, tags }: RentRequest,
  { purchase, gpuType }: Offer,
  { clusterId, network }: LaunchSettings,
) {
  const hostMaintenance = gpuType === undefined && purchase !== "spot" ? "MIGRATE" : "TERMINATE";
  return {
    labels: labelsOf({ ...tags, [CLUSTER_TAG]: clusterId, [BATCH_TAG]: clientToken }),
    metadata: { items: [{ key: "user-data", value: userData }] },
    scheduling: {
      automaticRestart: false,
      onHostMaintenance: hostMaintenance,
      ...(purchase === "spot"
        ? { provisioningModel: "SPOT", instanceTerminationAction: "DELETE" }
        : { provisioningModel: "STANDARD" }),
    },
    networkInterfaces: [
      { network, accessConfigs: [{ name: "External NAT", type: "ONE_TO_ONE_NAT" }] },
    ],
  };
}

function bootDisk({ image }: LaunchSettings, diskType: string) {
  return {
    boot: true,
    autoDelete: true,
    initializeParams: { sourceImage: image, diskSizeGb: BOOT_DISK_GB, diskType },
  };
}

/** Source: Compute Engine documentation, disk types by machine series (read 2026-11). */
function diskTypeOf(machineType: string): string {
  return /^(a4-|a3-ultra)/.test(machineType) ? "hyperdisk-balanced" : "pd-balanced";
}
