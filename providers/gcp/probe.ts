/**
 * Which of the permissions that renting takes the credentials have in the project.
 *
 * Source: Resource Manager API, `projects.testIamPermissions`: the answer holds those of the
 * named permissions that the caller has (read 2026-11). The permissions are those that Compute
 * Engine's reference names for the calls of this adapter.
 */
import { messageOf, PlatformError } from "../../core/index.ts";
import type { AccessFinding } from "../provider.ts";

/** What the adapter's calls need. */
export const PERMISSIONS: readonly string[] = [
  "compute.disks.create",
  "compute.globalOperations.list",
  "compute.instances.create",
  "compute.instances.delete",
  "compute.instances.list",
  "compute.instances.setLabels",
  "compute.instances.setMetadata",
  "compute.regions.get",
  "compute.subnetworks.use",
  "compute.zoneOperations.get",
  "compute.zoneOperations.list",
];

const WAY = "by projects.testIamPermissions";

/** A finding for each permission; a single bad one when the question itself fails. */
export async function probePermissions(
  held: (permissions: readonly string[]) => Promise<ReadonlySet<string>>,
): Promise<readonly AccessFinding[]> {
  try {
    const granted = await held(PERMISSIONS);
    return PERMISSIONS.map((permission) => {
      const isGood = granted.has(permission);
      const detail = isGood ? "allowed" : "not granted; add a role that has it";
      return { step: `${permission} (${WAY})`, isGood, detail };
    });
  } catch (error) {
    if (!(error instanceof PlatformError)) throw error;
    return [{ step: `permissions (${WAY})`, isGood: false, detail: messageOf(error) }];
  }
}
