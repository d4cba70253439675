/**
 * Ends and removes what a run of the platform left behind. Everything of a run carries the
 * path of its own scratch folder (arguments or environment of its processes, mount points,
 * files), which is random, so nothing of anybody else is ever touched.
 */
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

const TRIES_MAX = 20;
const RETRY_MS = 100;

/** What had to be swept; all zero after a clean end. */
export interface Swept {
  readonly processes: number;
  readonly mounts: number;
}

/** Ends processes, unmounts mounts and removes the folder. @param scratchDir Absolute path. */
export async function sweep(scratchDir: string): Promise<Swept> {
  let processes = 0;
  for (let tries = 0; tries < TRIES_MAX; tries += 1) {
    const pids = processesOf(scratchDir);
    if (pids.length === 0) break;
    processes = Math.max(processes, pids.length);
    for (const pid of pids) endProcess(pid);
    await sleep(RETRY_MS);
  }
  const mounts = mountsUnder(scratchDir);
  for (const mount of mounts) execFileSync("umount", ["--lazy", mount], { stdio: "ignore" });
  rmSync(scratchDir, { recursive: true, force: true, maxRetries: 5 });
  return { processes, mounts: mounts.length };
}

/** Other processes with `scratchDir` in their command line or environment. */
export function processesOf(scratchDir: string): readonly number[] {
  if (!existsSync("/proc/self/cmdline")) return [];
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => pid !== process.pid && namesFolder(pid, scratchDir));
}

function namesFolder(pid: number, scratchDir: string): boolean {
  return ["cmdline", "environ"].some((file) =>
    readGone(`/proc/${pid}/${file}`).includes(scratchDir),
  );
}

/** Mount points below `scratchDir`, deepest first. */
export function mountsUnder(scratchDir: string): readonly string[] {
  return readGone("/proc/mounts")
    .split("\n")
    .map((line) => line.split(" ")[1] ?? "")
    .filter((mount) => mount.startsWith(`${scratchDir}/`))
    .sort()
    .reverse();
}

function endProcess(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if (!isCode(error, "ESRCH")) throw error;
  }
}

/** The text of a file that may vanish while it is read. */
function readGone(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (isCode(error, "ENOENT") || isCode(error, "ESRCH") || isCode(error, "EACCES")) return "";
    throw error;
  }
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
