/**
 * Makes layers that run nothing of the image: files that are added, folders, the platform's Node.
 *
 * In a mount namespace of its own, over the layers before, so that links of the image lead where
 * they would in the container; its names are resolved within the image (`apply-tar.ts`).
 */
import { createReadStream } from "node:fs";
import { join } from "node:path";
import { applyTar, makeFolder } from "../oci/apply-tar.ts";
import { PlatformError } from "../../../core/index.ts";
import type { FileRights } from "../../../sdk/protocol/index.ts";
import { copyFiles, type CopyWish } from "./copy-files.ts";
import { LayerXattrs, LowerXattrs } from "./layer-xattrs.ts";
import { mountLayers, type LayerMount } from "./mount-layers.ts";
import { addRuntime } from "./runtime-layer.ts";

export type LayerWork =
  | { readonly kind: "runtime" }
  /** Tar archives on this machine, unpacked at `target`, a path of the image. */
  | ({
      readonly kind: "files";
      readonly target: string;
      readonly archives: readonly string[];
    } & FileRights)
  /** Files of other layers, which are mounted at a folder of their own for it. */
  | ({
      readonly kind: "copy";
      readonly from: Pick<LayerMount, "layersDir" | "lower" | "target">;
    } & CopyWish)
  | { readonly kind: "folder"; readonly path: string };

export interface LayerProcessSettings {
  readonly mount: LayerMount;
  readonly work: LayerWork;
  /** Where the extended attributes of added files are written, if there are any. */
  readonly xattrsFile: string;
}

/** Exit code when what was asked for is wrong, and not the machine. */
export const WRONG_REQUEST = 2;

if (import.meta.main) {
  try {
    await main(JSON.parse(process.argv.at(-1) ?? "{}") as LayerProcessSettings);
  } catch (error) {
    const isWrong = error instanceof PlatformError && error.code === "invalid_request";
    process.stderr.write(error instanceof Error ? error.message : String(error));
    process.exitCode = isWrong ? WRONG_REQUEST : 1;
  }
}

async function main({ mount, work, xattrsFile }: LayerProcessSettings): Promise<void> {
  mountLayers(mount);
  const root = mount.target;
  switch (work.kind) {
    case "runtime":
      return addRuntime(root);
    case "files":
      return addFiles(root, work, xattrsFile);
    case "copy":
      return addCopies(root, work, xattrsFile);
    case "folder":
      return makeFolder(work.path, root);
  }
}

async function addFiles(
  root: string,
  { archives, target, owner, mode }: Extract<LayerWork, { readonly kind: "files" }>,
  xattrsFile: string,
): Promise<void> {
  const xattrs = new LayerXattrs();
  const rights = {
    ...(owner === undefined ? {} : { owner }),
    ...(mode === undefined ? {} : { mode }),
  };
  for (const archive of archives) {
    await applyTar(createReadStream(archive), root, { prefix: target, ...rights, xattrs });
  }
  await xattrs.write(xattrsFile);
}

async function addCopies(
  root: string,
  work: Extract<LayerWork, { readonly kind: "copy" }>,
  xattrsFile: string,
): Promise<void> {
  const { layersDir, lower } = work.from;
  const xattrs = { from: LowerXattrs.of(layersDir, lower), to: new LayerXattrs() };
  await copyFiles(mounted(work.from), root, { ...work, xattrs });
  await xattrs.to.write(xattrsFile);
}

/** The folder where layers are seen as one; overlayfs wants two of them. */
function mounted({ layersDir, lower, target }: Pick<LayerMount, "layersDir" | "lower" | "target">) {
  const [only, ...more] = lower;
  if (only !== undefined && more.length === 0) return join(layersDir, only);
  mountLayers({ layersDir, lower, target });
  return target;
}
