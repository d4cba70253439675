/** The kernel's cache of files, emptied: what a start costs on a machine that has not read them. */
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";

/** Drops clean pages and nothing else (kernel documentation, sysctl/vm, `drop_caches`). */
const SWITCH = "/proc/sys/vm/drop_caches";

/**
 * Empties the page cache of the whole machine. What running processes have mapped stays.
 *
 * @returns whether this process may do so
 */
export function dropPageCache(): boolean {
  try {
    // What is not on the disk yet could not be dropped.
    execFileSync("sync");
    writeFileSync(SWITCH, "1\n");
    return true;
  } catch {
    // Not root, or in a container.
    return false;
  }
}
