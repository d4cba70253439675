/** Control groups of containers: removed, with all that still runs in them. */
import { accessSync, constants, existsSync, readdirSync, readFileSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const CGROUP_ROOT = "/sys/fs/cgroup";
/** What a container's limits are made of. */
const CONTROLLERS = ["cpu", "memory", "pids"] as const;
const TRIES_MAX = 40;
const RETRY_MS = 25;

/**
 * The controllers that containers need and that this process may not use here, in version 1 (a
 * hierarchy each) or version 2 (one for all); empty where limits hold. Source: cgroups(7).
 */
export function missingControllers(root = CGROUP_ROOT): readonly string[] {
  const unified = join(root, "cgroup.controllers");
  if (existsSync(unified)) {
    const there = readFileSync(unified, "utf8").trim().split(" ");
    const isOurs = isWritable(root);
    return CONTROLLERS.filter((controller) => !isOurs || !there.includes(controller));
  }
  return CONTROLLERS.filter((controller) => !isWritable(join(root, controller)));
}

function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    // It is not there, or not ours.
    return false;
  }
}

/**
 * Ends what runs in a control group and in those below it, and removes them, in every hierarchy
 * that is mounted. A group that cannot be emptied within a second stays: it costs nothing.
 */
export async function removeCgroup(path: string): Promise<void> {
  for (let tries = 0; tries < TRIES_MAX; tries += 1) {
    if (foldersOf(path).every(removeTree)) return;
    await sleep(RETRY_MS);
  }
}

/** The folders of a control group that exist, one for each hierarchy. */
export function foldersOf(path: string): readonly string[] {
  if (!existsSync(CGROUP_ROOT)) return [];
  const hierarchies = ["", ...readdirSync(CGROUP_ROOT)];
  return hierarchies
    .map((hierarchy) => join(CGROUP_ROOT, hierarchy, path))
    .filter((folder) => existsSync(folder));
}

/** Whether the folder and all below it are gone. */
function removeTree(folder: string): boolean {
  try {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      if (entry.isDirectory()) removeTree(join(folder, entry.name));
    }
    endProcesses(folder);
    rmdirSync(folder);
  } catch {
    // Something in it is still ending, or somebody else has just removed it.
    return !existsSync(folder);
  }
  return true;
}

function endProcesses(folder: string): void {
  const pids = readFileSync(join(folder, "cgroup.procs"), "utf8").split("\n").filter(Boolean);
  for (const pid of pids) endProcess(Number(pid));
}

/** Kills a process, if it is still there. */
export function endProcess(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has just ended.
  }
}
