/** What images of a function's memory are known by on all nodes. */
import { createHash } from "node:crypto";
import { resourcesOf } from "../../core/index.ts";
import type { LiveFunction } from "../calls/function-table.ts";

/**
 * A hash of what an image of the function's memory depends on as far as the server knows;
 * undefined for one that asks for none.
 *
 * Equal functions of one workspace share images, also those of a later deployment; two
 * workspaces share none. Environment variables are not in an image and not in the hash.
 */
export function snapshotIdOf(
  live: Pick<
    LiveFunction,
    "workspaceId" | "app" | "name" | "codeSha256" | "needs" | "spec" | "params"
  >,
): string | undefined {
  const { workspaceId, app, name, codeSha256, needs, spec, params } = live;
  if (!spec.enableMemorySnapshot || !canBeKept(spec)) return undefined;
  const { maxConcurrentInputs, image } = spec;
  const parts = [
    workspaceId,
    app,
    name,
    codeSha256,
    resourcesOf(needs),
    maxConcurrentInputs,
    image,
  ];
  return createHash("sha256").update(JSON.stringify(parts)).update(params).digest("hex");
}

/** The memory of Node without a way out, a GPU or a volume; nothing else is kept. */
function canBeKept({ python, network, gpu, volumes }: LiveFunction["spec"]): boolean {
  const isPlain = python === undefined && gpu === undefined && volumes.length === 0;
  return isPlain && !("allowHosts" in network);
}
