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
import type { WrittenFolders } from "../images/pack/pack-written.ts";
import type { SandboxSpec } from "./runtime.ts";
import { makeWritableLayer, ownFolders, unmountWritableLayer } from "./writable-layer.ts";

const POINTS = "points";
const ROOT = "root";
/** What is above is whole: nothing in it refers to what is below. */
const DISK_OPTIONS = ["redirect_dir=off", "metacopy=off"];

/** The root of a container, in its specification or beside it. */
export interface ContainerRoot {
  readonly spec: SandboxSpec;
  readonly rootfs: string;
  /** Where what it writes to its root is, if it may write there. */
  readonly written?: WrittenFolders;
}

/**
 * Makes such a root in the container's `bundle`, if it needs one.
 *
 * @param rootfs The root under it, where it has no image.
 * @returns where the root is now
 * @throws Error with what the kernel said
 * @throws PlatformError `unavailable` when its disk cannot be made
 */
export async function makeContainerRoot(
  spec: SandboxSpec,
  bundle: string,
  rootfs: string,
): Promise<ContainerRoot> {
  const { volumes = [], image, diskMiB } = spec;
  if (volumes.length === 0 && diskMiB === undefined) return { spec, rootfs };
  const points = await makePoints(volumes, bundle);
  const target = join(bundle, ROOT);
  await mkdir(target);
  const upper = diskMiB === undefined ? undefined : await makeWritableLayer(bundle, diskMiB);
  // An image with a disk is mounted as the user's own; the base has few folders.
  if (upper !== undefined && image === undefined) await ownFolders(rootfs, join(bundle, upper.dir));
  const below = image?.rootfs ?? rootfs;
  const lower = [...points, below];
  const options = ["nosuid", "nodev", ...(upper === undefined ? [] : DISK_OPTIONS)];
  mountLayers({ layersDir: bundle, lower, target: ROOT, options, ...(upper && { upper }) });
  const written = upper && { upper: join(bundle, upper.dir), lower: below, merged: target };
  if (image === undefined) return { spec, rootfs: target, ...(written && { written }) };
  const own = { ...spec, image: { ...image, rootfs: target } };
  return { spec: own, rootfs, ...(written && { written }) };
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
