/** Built images, as the node that built them finds them on its disk. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { StartContainer } from "../agent/link.ts";
import type { SandboxImage } from "../runtime/runtime.ts";
import { NODE_PATH } from "./build/step-scripts.ts";

/** Folder of the cache that images are built in. */
export const BUILT_DIR = "built";
const IMAGE_ID = /^[0-9a-f]{64}$/;

/** The image that a container is to run in; undefined when it needs none, or it is not here. */
export function imageOf(
  { imageId, workdir }: Pick<StartContainer, "imageId" | "workdir">,
  cacheDir: string,
): SandboxImage | undefined {
  if (imageId === undefined || !IMAGE_ID.test(imageId)) return undefined;
  const rootfs = join(cacheDir, BUILT_DIR, "roots", imageId);
  if (!existsSync(rootfs)) return undefined;
  const image = { rootfs, node: NODE_PATH };
  // The root of an image cannot be written to, and programs expect to write where they start.
  return workdir === undefined || workdir === "/" ? image : { ...image, workdir };
}
