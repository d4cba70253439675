/** Layers laid over each other by the kernel's overlayfs, in the mount namespace of this process. */
import { spawnSync } from "node:child_process";

export interface LayerMount {
  /** Folder that the paths of `lower` are relative to: options have one page in all. */
  readonly layersDir: string;
  /** The layers, the topmost first; at least one. */
  readonly lower: readonly string[];
  /** Where changes go; absent mounts what is there, read-only. */
  readonly upper?: { readonly dir: string; readonly workDir: string };
  readonly target: string;
  /** Other options of the mount. */
  readonly options?: readonly string[];
}

/** Mounts them. @throws Error with what the kernel said */
export function mountLayers(mount: LayerMount): void {
  const { layersDir, lower, upper, target, options: others = [] } = mount;
  const changes = upper === undefined ? [] : [`upperdir=${upper.dir}`, `workdir=${upper.workDir}`];
  const options = [`lowerdir=${lower.join(":")}`, ...changes, ...others].join(",");
  const { status, stderr, error } = spawnSync(
    "mount",
    ["-t", "overlay", "overlay", "-o", options, target],
    {
      cwd: layersDir,
      encoding: "utf8",
      // Newer versions of mount take options one by one, and then cut them.
      env: { ...process.env, LIBMOUNT_FORCE_MOUNT2: "always" },
    },
  );
  if (status === 0) return;
  throw new Error(
    `overlayfs cannot be mounted (${error?.message ?? stderr.trim()}); images are built, and ` +
      "volumes mounted, as root and in a data folder on ext4, xfs, btrfs or tmpfs",
  );
}
