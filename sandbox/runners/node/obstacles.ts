/** What stands in the way of an image of this process's memory. */
import { readdirSync, readlinkSync } from "node:fs";
import { generatorObstacle } from "./generators.ts";

const STANDARD_FDS = 3;
const SERVERS: readonly string[] = ["TCPServerWrap", "PipeServerWrap"];

/** One reason why no image can be made of this process now; undefined when it can. */
export function imageObstacle(): string | undefined {
  const resources = process.getActiveResourcesInfo();
  if (resources.includes("ProcessWrap")) return "a child process runs, which draws from its own";
  const servers = resources.filter((name) => SERVERS.includes(name)).length;
  const sockets = openSocketCount() - servers;
  if (sockets > 0) return `${sockets} connection(s) are open, whose other end would be gone`;
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
