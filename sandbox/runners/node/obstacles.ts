/** What stands in the way of an image of this process's memory. */
import { readdirSync, readlinkSync } from "node:fs";
import { generatorObstacle } from "./generators.ts";

const STANDARD_FDS = 3;

/** One reason why no image can be made of this process now; undefined when it can. */
export function imageObstacle(): string | undefined {
  const resources = process.getActiveResourcesInfo();
  if (resources.includes("ProcessWrap")) return "a child process runs, which draws from its own";
  const sockets = openSocketCount();
  if (sockets > 0) return `${sockets} socket(s) are open: open them when the function is called`;
  return generatorObstacle();
}

/** Sockets beside the channel, standard output and standard error. */
function openSocketCount(): number {
  return readdirSync("/proc/self/fd").filter((fd) => Number(fd) >= STANDARD_FDS && isSocket(fd))
    .length;
}

function isSocket(fd: string): boolean {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`).startsWith("socket:");
  } catch {
    // The folder's own listing was among them.
    return false;
  }
}
