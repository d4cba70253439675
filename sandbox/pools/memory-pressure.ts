/** Whether the machine's memory runs short, as Linux says of it. */
import { readFileSync } from "node:fs";

/** Less than this share of it to be had is short: the kernel begins to look for what to end. */
const SHORT_FRACTION = 0.06;

/** False where the system does not say. */
export function isMemoryShort(): boolean {
  try {
    return isShortIn(readFileSync("/proc/meminfo", "utf8"));
  } catch {
    // Not Linux.
    return false;
  }
}

/** Reads `MemTotal` and `MemAvailable` of `/proc/meminfo`. Source: proc_meminfo(5). */
export function isShortIn(meminfo: string): boolean {
  const kibibytesOf = (name: string): number => {
    const found = new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(meminfo)?.[1];
    return Number(found ?? Number.NaN);
  };
  return kibibytesOf("MemAvailable") < kibibytesOf("MemTotal") * SHORT_FRACTION;
}
