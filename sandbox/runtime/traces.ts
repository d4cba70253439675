/** What a container has left on this machine, for tests. */
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { foldersOf } from "./cgroups.ts";

/** Processes of this machine that name `word`, or work in a folder that does. */
export function processesNaming(word: string): readonly string[] {
  return readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const command = readFileSync(`/proc/${name}/cmdline`, "utf8").replaceAll("\0", " ");
      const folder = readlinkSync(`/proc/${name}/cwd`);
      return `${command} ${folder}`.includes(word) ? [`process ${name}: ${command}`] : [];
    } catch {
      // It has just ended.
      return [];
    }
  });
}

/** Everything of a container: processes, mounts, control groups, and its files under `dir`. */
export function tracesOf(dir: string, containerId: string, cgroup?: string): readonly string[] {
  const mounts = readFileSync("/proc/mounts", "utf8").split("\n");
  const files = ["bundles", "runsc"].flatMap((folder) => {
    const path = join(dir, folder);
    return existsSync(path) ? readdirSync(path) : [];
  });
  return [
    ...processesNaming(containerId),
    ...mounts.filter((line) => line.includes(containerId)),
    ...(cgroup === undefined ? [] : foldersOf(cgroup)),
    ...files.filter((name) => name.includes(containerId)),
  ];
}
