/** What a control group has used: read from its files, of version 1 or 2. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { foldersOf } from "./cgroups.ts";
import { SENTRY_MEMORY_MIB } from "./oci-spec.ts";
import type { SandboxUse } from "./runtime.ts";

const BYTES_PER_MIB = 1024 * 1024;
const NS_PER_MS = 1_000_000;
const US_PER_MS = 1_000;

/**
 * The processor's time and the memory of a sandbox; undefined once it is gone.
 *
 * Memory is what it holds less files that nobody has looked at for a while, and less what gVisor
 * itself takes. Source: kernel documentation, cgroup-v1 `cpuacct`, `memory` and cgroup-v2.
 */
export function cgroupUse(path: string, folders = foldersOf(path)): SandboxUse | undefined {
  const read = (file: string): string | undefined => firstOf(folders, file);
  const cpuMs = cpuMsOf(read);
  const bytes = Number(read("memory.current") ?? read("memory.usage_in_bytes"));
  if (cpuMs === undefined || !Number.isFinite(bytes)) return undefined;
  const stat = read("memory.stat") ?? "";
  const idle = fieldOf(stat, "total_inactive_file") ?? fieldOf(stat, "inactive_file") ?? 0;
  const memoryMiB = Math.max(0, (bytes - idle) / BYTES_PER_MIB - SENTRY_MEMORY_MIB);
  return { cpuMs, memoryMiB };
}

function cpuMsOf(read: (file: string) => string | undefined): number | undefined {
  const usedUs = fieldOf(read("cpu.stat") ?? "", "usage_usec");
  if (usedUs !== undefined) return usedUs / US_PER_MS;
  const usedNs = read("cpuacct.usage");
  return usedNs === undefined ? undefined : Number(usedNs) / NS_PER_MS;
}

function fieldOf(text: string, name: string): number | undefined {
  const value = new RegExp(`^${name} (\\d+)$`, "m").exec(text)?.[1];
  return value === undefined ? undefined : Number(value);
}

/** The first of these folders that has the file; each hierarchy has some. */
function firstOf(folders: readonly string[], file: string): string | undefined {
  for (const folder of folders) {
    try {
      return readFileSync(join(folder, file), "utf8").trim();
    } catch {
      // Another hierarchy has it, or it has just ended.
    }
  }
  return undefined;
}
