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

/**
 * Whether what ran in a control group, or below it, had no memory left.
 *
 * Version 2 counts what the kernel has ended for it. Version 1 counts so in the group with the
 * limit alone, which may be gone: there the most that was ever used says it. That may be the
 * cache of files, so it is no proof without an end that looks like one. Source: the kernel's
 * documents cgroup-v1/memory and cgroup-v2 (6.12).
 */
export function lacksMemory(path: string, limitBytes: number, root = CGROUP_ROOT): boolean {
  return foldersOf(path, root).some((folder) => {
    const killed = /^oom_kill (\d+)/m.exec(readIn(folder, "memory.events"))?.[1] ?? "0";
    return Number(killed) > 0 || Number(readIn(folder, "memory.max_usage_in_bytes")) >= limitBytes;
  });
}

function readIn(folder: string, name: string): string {
  try {
    return readFileSync(join(folder, name), "utf8");
  } catch {
    // The other version's name, or a folder of other controllers.
    return "";
  }
}

/** The folders of a control group that exist, one for each hierarchy. */
export function foldersOf(path: string, root = CGROUP_ROOT): readonly string[] {
  if (!existsSync(root)) return [];
  const hierarchies = ["", ...readdirSync(root)];
  return hierarchies
    .map((hierarchy) => join(root, hierarchy, path))
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
