/**
 * A disk of a container's own: a file of this machine with a file system in it, in which the
 * kernel's overlayfs keeps what the container writes to its root.
 *
 * The file has its whole size from the beginning, so that a container which fills its disk takes
 * nothing from others, and a machine without so much room refuses the start and not a write.
 */
import { spawn } from "node:child_process";
import { mkdir, readdir, statfs } from "node:fs/promises";
import { chownSync, existsSync } from "node:fs";
import { join } from "node:path";
import { messageOf, PlatformError } from "../../core/index.ts";
import { unmountFuse } from "../lazyfs/fuse-mount.ts";
import { USER_ID } from "./oci-spec.ts";

/** Room that a machine keeps for all else. */
export const DISK_RESERVE_BYTES = 1_024 * 1_024 * 1_024;

const MIB = 1_024 * 1_024;
const IMAGE = "disk";
const MOUNTED = "written";
const COMMAND_MS_MAX = 60_000;
/** No journal: nothing in it outlives a crash. Its inode tables are made when they are used. */
const FORMAT = [
  ...["-q", "-F", "-m", "0", "-O", "^has_journal"],
  ...["-E", "nodiscard,lazy_itable_init=1"],
];

/** Where overlayfs writes, relative to the container's bundle. */
export interface WritableLayer {
  readonly dir: string;
  readonly workDir: string;
}

/**
 * Makes and mounts a disk in a container's bundle; its root folder is the container's user's.
 *
 * @throws PlatformError `unavailable` when there is no room for it, or no means to make it
 */
export async function makeWritableLayer(bundle: string, diskMiB: number): Promise<WritableLayer> {
  await checkRoom(bundle, diskMiB);
  const file = join(bundle, IMAGE);
  const target = join(bundle, MOUNTED);
  await mkdir(target);
  try {
    await run("fallocate", ["-l", String(diskMiB * MIB), file]);
    await run("mkfs.ext4", [...FORMAT, file]);
    await run("mount", ["-o", "loop,nosuid,nodev,noatime", file, target]);
  } catch (error) {
    throw unavailable(diskMiB, messageOf(error));
  }
  const layer = { dir: join(MOUNTED, "upper"), workDir: join(MOUNTED, "work") };
  for (const dir of [layer.dir, layer.workDir]) await mkdir(join(bundle, dir));
  chownSync(join(bundle, layer.dir), USER_ID, USER_ID);
  return layer;
}

/** Unmounts the disk of a bundle, if there is one; its file is the bundle's. */
export async function unmountWritableLayer(bundle: string): Promise<void> {
  const target = join(bundle, MOUNTED);
  if (existsSync(target)) await unmountFuse(target).catch(() => undefined);
}

/**
 * Gives the folders of a small tree to the container's user, by standing in for them in a layer
 * over it.
 */
export async function ownFolders(rootfs: string, layerDir: string): Promise<void> {
  const entries = await readdir(rootfs, { withFileTypes: true });
  for (const entry of entries) {
    if (!entry.isDirectory()) continue;
    const target = join(layerDir, entry.name);
    await mkdir(target);
    chownSync(target, USER_ID, USER_ID);
    await ownFolders(join(rootfs, entry.name), target);
  }
}

async function checkRoom(bundle: string, diskMiB: number): Promise<void> {
  const { bavail, bsize } = await statfs(bundle);
  const freeBytes = bavail * bsize - DISK_RESERVE_BYTES;
  if (freeBytes >= diskMiB * MIB) return;
  const freeMiB = Math.max(0, Math.floor(freeBytes / MIB));
  throw unavailable(diskMiB, `this node has ${freeMiB} MiB for such disks`);
}

async function run(command: string, args: readonly string[]): Promise<void> {
  const child = spawn(command, args, {
    stdio: ["ignore", "ignore", "pipe"],
    timeout: COMMAND_MS_MAX,
    killSignal: "SIGKILL",
    // mkfs is in a folder that not every PATH has.
    env: { PATH: `${process.env["PATH"] ?? "/usr/bin:/bin"}:/usr/sbin:/sbin`, LC_ALL: "C" },
  });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said += text));
  const code = await new Promise<number | string | null>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("close", (status, signal) => resolve(status ?? signal));
  });
  if (code !== 0) throw new Error(`${command}: ${said.trim() || String(code)}`);
}

function unavailable(diskMiB: number, why: string): PlatformError {
  return new PlatformError(`a container's disk of ${diskMiB} MiB cannot be made: ${why}`, {
    code: "unavailable",
    retryable: true,
    details: { diskMiB },
  });
}
