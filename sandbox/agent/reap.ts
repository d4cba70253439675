/** Ends everything that a killed agent left: sandbox processes, state, bundles, control groups. */
import { existsSync, readdirSync, readFileSync, rmdirSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { runscRoot } from "../runtime/gvisor.ts";

const CGROUP_ROOT = "/sys/fs/cgroup";
const TRIES_MAX = 40;
const RETRY_MS = 25;

/** The control group under which the containers of an agent's folder live. */
export function cgroupParentOf(dataDir: string): string {
  const name = dataDir.replaceAll(/[^A-Za-z0-9]+/g, "-").replace(/^-/, "");
  return `/flotilla/${name}`;
}

/**
 * Makes an agent's folder as if its containers had never been; code and image caches stay.
 *
 * Only processes with the folder's own path in their command line are ended.
 */
export async function reap(dataDir: string): Promise<void> {
  const marks = [`--root=${runscRoot(dataDir)}`, join(dataDir, "bundles")];
  for (let tries = 0; tries < TRIES_MAX && endProcesses(marks) > 0; tries += 1) {
    await sleep(RETRY_MS);
  }
  await rm(runscRoot(dataDir), { recursive: true, force: true });
  await rm(join(dataDir, "bundles"), { recursive: true, force: true });
  removeCgroups(cgroupParentOf(dataDir));
}

/** Kills what carries one of `marks`; gives how many there were. */
function endProcesses(marks: readonly string[]): number {
  if (!existsSync("/proc/self/cmdline")) return 0;
  let ended = 0;
  for (const name of readdirSync("/proc")) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    const words = commandOf(pid);
    if (!words.some((word) => marks.some((mark) => word === mark || word.startsWith(`${mark}/`)))) {
      continue;
    }
    ended += 1;
    kill(pid);
  }
  return ended;
}

function commandOf(pid: number): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
  } catch {
    // It has just ended.
    return [];
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has just ended.
  }
}

/** Removes a control group and those below it, in every hierarchy that is mounted. */
function removeCgroups(path: string): void {
  if (!existsSync(CGROUP_ROOT)) return;
  const hierarchies = ["", ...readdirSync(CGROUP_ROOT)];
  for (const hierarchy of hierarchies) removeTree(join(CGROUP_ROOT, hierarchy, path));
}

function removeTree(dir: string): void {
  if (!existsSync(dir)) return;
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    if (entry.isDirectory()) removeTree(join(dir, entry.name));
  }
  try {
    rmdirSync(dir);
  } catch {
    // Still in use for a moment: an empty group costs nothing, and the next reap removes it.
  }
}
