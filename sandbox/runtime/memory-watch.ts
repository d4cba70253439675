/**
 * The limit on a container's memory where the host has no control groups: what its processes hold
 * is added up again and again, and a container that holds too much is ended.
 *
 * Weaker than a control group: between two looks a container may hold more, and nothing limits
 * its cores or processes but the machine.
 */
import type { ChildProcess } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";

const LOOK_EVERY_MS = 250;
const BYTES_PER_KIB = 1024;

/**
 * Calls `onExceeded` once when a process and its descendants hold more than `bytesMax`; until the
 * process ends.
 */
export function watchMemory(child: ChildProcess, bytesMax: number, onExceeded: () => void): void {
  const { pid } = child;
  if (pid === undefined) return;
  const timer = setInterval(() => {
    if (heldBytes(pid) <= bytesMax) return;
    clearInterval(timer);
    onExceeded();
  }, LOOK_EVERY_MS);
  child.once("exit", () => clearInterval(timer));
}

/**
 * Bytes that a process and its descendants hold; what several share counts once (Pss of
 * proc_pid_smaps(5)).
 */
function heldBytes(pid: number): number {
  const parents = new Map<number, number>();
  for (const name of readdirSync("/proc")) {
    if (/^\d+$/.test(name)) parents.set(Number(name), parentOf(Number(name)));
  }
  const isOurs = (one: number): boolean => {
    for (let at: number | undefined = one; at !== undefined && at > 1; at = parents.get(at)) {
      if (at === pid) return true;
    }
    return false;
  };
  return [...parents.keys()].filter(isOurs).reduce((sum, one) => sum + ownBytes(one), 0);
}

function parentOf(pid: number): number {
  // The name in parentheses may have anything in it; the parent is the second field behind it.
  const fields = read(`/proc/${pid}/stat`).split(") ").at(-1)?.split(" ");
  return Number(fields?.[1] ?? 0);
}

function ownBytes(pid: number): number {
  const kibibytes = /^Pss:\s+(\d+) kB$/m.exec(read(`/proc/${pid}/smaps_rollup`))?.[1];
  return Number(kibibytes ?? 0) * BYTES_PER_KIB;
}

function read(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    // It has just ended.
    return "";
  }
}
