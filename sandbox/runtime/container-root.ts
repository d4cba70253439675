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
  const below = image?.rootfs ?? rootfs;
  const points = await makePoints(volumes, bundle);
  const merged = join(bundle, ROOT);
  await mkdir(merged);
  const upper = diskMiB === undefined ? undefined : await makeWritableLayer(bundle, diskMiB);
  // An image with a disk is mounted as the user's own; the base has few folders.
  if (upper !== undefined && image === undefined) await ownFolders(rootfs, join(bundle, upper.dir));
  const disk = upper === undefined ? {} : { upper };
  const options = ["nosuid", "nodev", ...(upper === undefined ? [] : DISK_OPTIONS)];
  mountLayers({ layersDir: bundle, lower: [...points, below], target: ROOT, options, ...disk });
  const root = rootAt(merged, spec, rootfs);
  if (upper === undefined) return root;
  return { ...root, written: { upper: join(bundle, upper.dir), lower: below, merged } };
}

/** The root that is mounted at `merged`, where it is looked for. */
function rootAt(merged: string, spec: SandboxSpec, rootfs: string): ContainerRoot {
  const { image } = spec;
  if (image === undefined) return { spec, rootfs: merged };
  return { spec: { ...spec, image: { ...image, rootfs: merged } }, rootfs };
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
