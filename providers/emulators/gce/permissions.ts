/** Resource Manager's question which permissions the caller has in the project. */
import { z } from "zod";
import { jsonAnswer, type WholeAnswer, type WholeRequest } from "../shared/loopback-server.ts";
import { errorDocument, GceError } from "./gce-error.ts";
import type { World } from "./world.ts";

const asked = z.looseObject({ permissions: z.array(z.string()) });

/** Whether a path asks it of some project. */
export function isPermissionPath(pathname: string): boolean {
  return /^\/v1\/projects\/[^/:]+:testIamPermissions$/.test(pathname);
}

/** All permissions that are asked for but those of the setting `deniedPermissions`. */
export function answerPermissions(world: World, { url, body }: WholeRequest): WholeAnswer {
  if (url.pathname !== `/v1/projects/${world.projectId}:testIamPermissions`) {
    const error = new GceError(403, "forbidden", "The caller does not have permission");
    return jsonAnswer(403, errorDocument(error));
  }
  const { permissions } = asked.parse(JSON.parse(body));
  const denied = new Set(world.settings().deniedPermissions);
  const granted = permissions.filter((one) => !denied.has(one));
  // Google leaves empty lists out.
  return jsonAnswer(200, granted.length === 0 ? {} : { permissions: granted });
}
