/** What images of a function's memory are known by on all nodes. */
import { createHash } from "node:crypto";
import { resourcesOf } from "../../core/index.ts";
import type { LiveFunction } from "../calls/function-table.ts";

/**
 * A hash of what an image of the function's memory depends on as far as the server knows;
 * undefined for one that asks for none.
 *
 * Equal functions of one workspace share images, also those of a later deployment; two
 * workspaces share none. Of the environment only what code is loaded with is in an image and in
 * the hash.
 */
export function snapshotIdOf(
  live: Pick<
    LiveFunction,
    "workspaceId" | "app" | "name" | "codeSha256" | "needs" | "spec" | "params" | "image"
  >,
): string | undefined {
  const { workspaceId, app, name, codeSha256, needs, spec, params } = live;
  // The memory of a process does not hold what it has open in a volume.
  const isKept = spec.volumes.length === 0;
  if (!spec.enableMemorySnapshot || !isKept) return undefined;
  const { maxConcurrentInputs, image, python } = spec;
  const parts = [
    workspaceId,
    app,
    name,
    codeSha256,
    // The heap is as large as the limit lets it be.
    { ...resourcesOf(needs), ...(spec.limits && { limits: spec.limits }) },
    maxConcurrentInputs,
    image,
    python,
    loadEnvOf(live),
  ];
  return createHash("sha256").update(JSON.stringify(parts)).update(params).digest("hex");
}

/**
 * Variables that a function's code is loaded with before an image of its memory is made: those of
 * its image, and for Python where its modules are. Secrets are never among them.
 */
export function loadEnvOf({
  spec: { python, env },
  image,
}: Pick<LiveFunction, "spec" | "image">): Readonly<Record<string, string>> {
  const { PYTHONPATH: path } = env;
  return {
    ...image?.env,
    ...(python === undefined || path === undefined ? {} : { PYTHONPATH: path }),
  };
}
