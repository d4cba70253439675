/**
 * The root file system of one container, where it is more than what all containers of its image
 * share: the folders that its volumes are mounted on, and a disk of its own for what it writes.
 *
 * gVisor makes mount points in the root itself, which is read-only, or shared by all containers of
 * the machine. So they lie in a layer over it.
 */
import { mkdir } from "node:fs/promises";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { mountLayers } from "../images/build/mount-layers.ts";
import { unmountFuse } from "../lazyfs/fuse-mount.ts";
import type { SandboxSpec } from "./runtime.ts";
import { makeWritableLayer, ownFolders, unmountWritableLayer } from "./writable-layer.ts";

const POINTS = "points";
const ROOT = "root";

/**
 * Makes such a root in the container's `bundle`, if it needs one.
 *
 * @param rootfs The root under it, where it has no image.
 * @returns where the root is now, in the specification or beside it
 * @throws Error with what the kernel said
 * @throws PlatformError `unavailable` when its disk cannot be made
 */
export async function makeContainerRoot(
  spec: SandboxSpec,
  bundle: string,
  rootfs: string,
): Promise<{ readonly spec: SandboxSpec; readonly rootfs: string }> {
  const { volumes = [], image, diskMiB } = spec;
  if (volumes.length === 0 && diskMiB === undefined) return { spec, rootfs };
  const points = await makePoints(volumes, bundle);
  const target = join(bundle, ROOT);
  await mkdir(target);
  const upper = diskMiB === undefined ? undefined : await makeWritableLayer(bundle, diskMiB);
  // An image with a disk is mounted as the user's own; the base has few folders.
  if (upper !== undefined && image === undefined) await ownFolders(rootfs, join(bundle, upper.dir));
  const lower = [...points, image?.rootfs ?? rootfs];
  const options = ["nosuid", "nodev"];
  mountLayers({ layersDir: bundle, lower, target: ROOT, options, ...(upper && { upper }) });
  if (image === undefined) return { spec, rootfs: target };
  return { spec: { ...spec, image: { ...image, rootfs: target } }, rootfs };
}

/** Makes the folders that volumes are mounted on; gives the layer that they are in, if any. */
async function makePoints(
  volumes: NonNullable<SandboxSpec["volumes"]>,
  bundle: string,
): Promise<readonly string[]> {
  for (const { path } of volumes) await mkdir(join(bundle, POINTS, path), { recursive: true });
  return volumes.length === 0 ? [] : [POINTS];
}

/** Unmounts that root, if there is one. */
export async function unmountContainerRoot(bundle: string): Promise<void> {
  const root = join(bundle, ROOT);
  if (existsSync(root)) await unmountFuse(root).catch(() => undefined);
  await unmountWritableLayer(bundle);
}
