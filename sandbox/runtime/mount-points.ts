/**
 * A root file system with the folders that a container's volumes are mounted on.
 *
 * gVisor makes them in the root itself, which is read-only, or shared by all containers of the
 * machine. So they lie in a layer of the container's own over its root.
 */
import { mkdir } from "node:fs/promises";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { mountLayers } from "../images/build/mount-layers.ts";
import { unmountFuse } from "../lazyfs/fuse-mount.ts";
import type { SandboxSpec } from "./runtime.ts";

const POINTS = "points";
const ROOT = "root";

/**
 * Makes such a root in the container's `bundle`, if it has volumes.
 *
 * @param rootfs The root under it, where it has no image.
 * @returns where the root is now, in the specification or beside it
 * @throws Error with what the kernel said
 */
export async function withMountPoints(
  spec: SandboxSpec,
  bundle: string,
  rootfs: string,
): Promise<{ readonly spec: SandboxSpec; readonly rootfs: string }> {
  const { volumes = [], image } = spec;
  if (volumes.length === 0) return { spec, rootfs };
  for (const { path } of volumes) await mkdir(join(bundle, POINTS, path), { recursive: true });
  const target = join(bundle, ROOT);
  await mkdir(target);
  const lower = [POINTS, image?.rootfs ?? rootfs];
  mountLayers({ layersDir: bundle, lower, target: ROOT });
  if (image === undefined) return { spec, rootfs: target };
  return { spec: { ...spec, image: { ...image, rootfs: target } }, rootfs };
}

/** Unmounts that root, if there is one. */
export async function unmountPoints(bundle: string): Promise<void> {
  const root = join(bundle, ROOT);
  if (existsSync(root)) await unmountFuse(root).catch(() => undefined);
}
