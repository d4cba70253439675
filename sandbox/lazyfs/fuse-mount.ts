/**
 * Mounting a FUSE file system without libfuse: `mount` of util-linux makes the system call with
 * a descriptor of `/dev/fuse` that it inherits. Needs root.
 */
import { spawn } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync } from "node:fs";
import { messageOf, PlatformError } from "../../core/index.ts";

const DEVICE = "/dev/fuse";
/** What a mount is called in the list of mounts; leftovers are found by it. */
export const MOUNT_SOURCE = "flotilla-image";
/** Descriptor under which `mount` inherits the device. */
const INHERITED_FD = 3;
const COMMAND_MS_MAX = 10_000;

/** Whether this process can mount images. */
export function canMount(): boolean {
  return process.platform === "linux" && process.getuid?.() === 0 && existsSync(DEVICE);
}

/** A descriptor for one file system, not mounted yet. @throws PlatformError `unavailable` */
export function openFuse(): number {
  try {
    return openSync(DEVICE, "r+");
  } catch (error) {
    throw failed(`opening ${DEVICE}`, messageOf(error));
  }
}

/** Mounts the file system of a descriptor, read-only. @throws PlatformError `unavailable` */
export async function mountFuse(fd: number, mountPoint: string): Promise<void> {
  const options = [
    ...["ro", "nosuid", "nodev", `fd=${INHERITED_FD}`, "rootmode=40000"],
    ...["user_id=0", "group_id=0", "allow_other", "default_permissions"],
  ].join(",");
  const args = ["-i", "-t", "fuse", "-o", options, MOUNT_SOURCE, mountPoint];
  await run("mount", args, fd);
}

/** Unmounts at once or, while it is in use, when it is not any more. @throws PlatformError */
export async function unmountFuse(mountPoint: string): Promise<void> {
  await run("umount", ["-l", mountPoint]);
}

/** The mount points of images under a folder, the innermost first. */
export function imageMountsUnder(dir: string): readonly string[] {
  const lines = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  const points = lines.flatMap((line) => {
    const [mount = "", system = ""] = line.split(" - ");
    const point = unescaped(mount.split(" ")[4] ?? "");
    const isOurs = system.startsWith(`fuse ${MOUNT_SOURCE} `) && point.startsWith(`${dir}/`);
    return isOurs ? [point] : [];
  });
  return points.reverse();
}

/** The kernel writes blanks and the like in mount points as octal numbers. */
function unescaped(path: string): string {
  return path.replaceAll(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}

/** Runs a command to its end; `fd` is its descriptor 3. */
async function run(command: string, args: readonly string[], fd?: number): Promise<void> {
  const child = spawn(command, args, {
    stdio: ["ignore", "ignore", "pipe", ...(fd === undefined ? [] : [fd])],
    timeout: COMMAND_MS_MAX,
    killSignal: "SIGKILL",
  });
  let said = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => (said += text));
  const code = await new Promise<number | string | null>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("close", (status, signal) => resolve(status ?? signal));
  });
  if (code !== 0) throw failed(`${command} ${args.join(" ")}`, said.trim() || String(code));
}

/** Gives a descriptor back. */
export function closeFuse(fd: number): void {
  closeSync(fd);
}

function failed(doing: string, why: string): PlatformError {
  return new PlatformError(`${doing} failed: ${why}`, { code: "unavailable", retryable: false });
}
