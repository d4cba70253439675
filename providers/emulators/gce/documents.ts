/** Resources as Compute Engine writes them. Source of the members: compute.proto of v1. */
import { createHash } from "node:crypto";
import type { Instance } from "./instance.ts";
import type { Operation } from "./operation.ts";
import type { World } from "./world.ts";

/** The full address of a resource such as `zones/us-central1-a`. */
export function linkTo({ baseUrl, projectId }: World, resource: string): string {
  return `${baseUrl()}/projects/${projectId}/${resource}`;
}

/** What must be given to write the labels of an instance. */
export function labelFingerprintOf({ labels, labelVersion }: Instance): string {
  const text = `${labelVersion} ${JSON.stringify(Object.entries(labels).sort())}`;
  return createHash("sha256").update(text).digest("base64url").slice(0, 11).concat("=");
}

/** An instance; the values of its metadata may hold secrets, and are shown as the cloud does. */
export function instanceDocument(world: World, instance: Instance): object {
  const { instanceId, spec, createdAtMs, labels, status, sequence } = instance;
  const zone = `zones/${spec.zone}`;
  return {
    kind: "compute#instance",
    id: instanceId,
    creationTimestamp: timestamp(createdAtMs),
    name: spec.name,
    zone: linkTo(world, zone),
    selfLink: linkTo(world, `${zone}/instances/${spec.name}`),
    machineType: linkTo(world, `${zone}/machineTypes/${spec.machineType}`),
    status,
    labels,
    labelFingerprint: labelFingerprintOf(instance),
    metadata: {
      kind: "compute#metadata",
      items: Object.entries(spec.metadata).map(([key, value]) => ({ key, value })),
    },
    guestAccelerators:
      spec.accelerator === undefined
        ? []
        : [
            {
              acceleratorType: linkTo(world, `${zone}/acceleratorTypes/${spec.accelerator.type}`),
              acceleratorCount: spec.accelerator.count,
            },
          ],
    networkInterfaces: [{ name: "nic0", networkIP: privateAddress(sequence) }],
    disks: [{ boot: true, autoDelete: true, source: linkTo(world, `${zone}/disks/${spec.name}`) }],
    scheduling:
      spec.market === "spot"
        ? {
            provisioningModel: spec.isLegacyPreemptible ? "STANDARD" : "SPOT",
            preemptible: true,
            automaticRestart: false,
            onHostMaintenance: "TERMINATE",
            instanceTerminationAction: spec.terminationAction,
          }
        : { provisioningModel: "STANDARD", preemptible: false, automaticRestart: true },
  };
}

/** An operation as it is now; members that are undefined are left out of the JSON. */
export function operationDocument(world: World, operation: Operation): object {
  const { name, numericId, operationType, zone, target, targetId, groupId } = operation;
  const { startedAtMs, doneAtMs, user, statusMessage } = operation;
  const place = zone === undefined ? "global" : `zones/${zone}`;
  const isDone = doneAtMs !== undefined;
  return {
    kind: "compute#operation",
    id: numericId,
    name,
    zone: zone && linkTo(world, place),
    operationType,
    targetLink: target && linkTo(world, target),
    targetId,
    operationGroupId: groupId,
    status: isDone ? "DONE" : "RUNNING",
    progress: isDone ? 100 : 0,
    user: user ?? "emulator@flotilla.invalid",
    insertTime: timestamp(startedAtMs),
    startTime: timestamp(startedAtMs),
    endTime: isDone ? timestamp(doneAtMs) : undefined,
    statusMessage,
    ...(isDone ? errorMembers(operation) : {}),
    ...bulkMembers(operation),
    selfLink: linkTo(world, `${place}/operations/${name}`),
  };
}

function bulkMembers({ bulk, zone, doneAtMs }: Operation): object {
  if (bulk === undefined || zone === undefined) return {};
  const { target, created } = bulk;
  const status =
    doneAtMs === undefined
      ? { status: "CREATING", createdVmCount: 0, failedToCreateVmCount: 0 }
      : { status: "DONE", createdVmCount: created, failedToCreateVmCount: target - created };
  return {
    instancesBulkInsertOperationMetadata: {
      perLocationStatus: { [`zones/${zone}`]: { ...status, targetVmCount: target } },
    },
  };
}

/** A time as Compute Engine writes it: RFC 3339. */
function timestamp(atMs: number): string {
  return new Date(atMs).toISOString().replace("Z", "+00:00");
}

const HTTP_MESSAGES: Readonly<Record<number, string>> = {
  400: "BAD REQUEST",
  403: "FORBIDDEN",
  409: "CONFLICT",
  503: "SERVICE UNAVAILABLE",
};

function errorMembers({ error }: Operation): object {
  if (error === undefined) return {};
  const { code, message, status, details } = error;
  return {
    error: { errors: [{ code, message, errorDetails: details }] },
    httpErrorStatusCode: status,
    httpErrorMessage: HTTP_MESSAGES[status] ?? "ERROR",
  };
}

/** An address of 10.0.0.0/8, different for the first 16 million instances. */
function privateAddress(sequence: number): string {
  return `10.${(sequence >> 16) & 255}.${(sequence >> 8) & 255}.${sequence & 255}`;
}
