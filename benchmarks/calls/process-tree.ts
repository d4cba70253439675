/** Memory of a process and all its descendants, from /proc. */
import { readdirSync, readFileSync } from "node:fs";

const PAGE_KIB = 4;

/** Resident MiB of `pid` and everything it started, summed. Shared pages count once each. */
export function treeRssMib(pid: number): number {
  const children = new Map<number, number[]>();
  for (const name of readdirSync("/proc").filter((entry) => /^\d+$/.test(entry))) {
    const parent = parentOf(Number(name));
    if (parent !== undefined) {
      children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
    }
  }
  const tree = [pid];
  for (const member of tree) tree.push(...(children.get(member) ?? []));
  return tree.reduce((sum, member) => sum + rssKib(member), 0) / 1024;
}

function parentOf(pid: number): number | undefined {
  const fields = statOf(pid);
  return fields === undefined ? undefined : Number(fields[1]);
}

function rssKib(pid: number): number {
  return Number(statOf(pid)?.[21] ?? 0) * PAGE_KIB;
}

/** The fields after the command name (proc(5)); undefined when the process has ended. */
function statOf(pid: number): readonly string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    return text.slice(text.lastIndexOf(")") + 2).split(" ");
  } catch {
    // It ended between the listing and the read.
    return undefined;
  }
}
