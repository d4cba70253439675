/** What the operating system says about a process; Linux only, elsewhere all is unknown. */
import { readFile } from "node:fs/promises";
import { systemCodeOf } from "../../core/index.ts";

/** Position of the start time in `/proc/<pid>/stat` after the process name; proc(5), field 22. */
const START_TIME_INDEX = 19;

/** A process id that cannot be mistaken for a later process with the same number. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks from boot to its start; 0 where the system does not tell. */
  readonly startTicks: number;
}

/** The process's identity; undefined when it is gone (or a zombie). */
export async function identify(pid: number): Promise<ProcessIdentity | undefined> {
  const stat = await readProc(pid, "stat");
  if (stat === undefined) return undefined;
  // The name in parentheses may hold spaces and parentheses; the fields start after the last.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  if (fields[0] === "Z" || fields[0] === "X") return undefined;
  return { pid, startTicks: Number(fields[START_TIME_INDEX] ?? 0) };
}

/** Whether exactly this process still runs. */
export async function isRunning(identity: ProcessIdentity): Promise<boolean> {
  const now = await identify(identity.pid);
  return now !== undefined && now.startTicks === identity.startTicks;
}

/** Its command line, word by word; undefined when it is gone. */
export async function commandLineOf(pid: number): Promise<readonly string[] | undefined> {
  return (await readProc(pid, "cmdline"))?.split("\0").slice(0, -1);
}

async function readProc(pid: number, file: string): Promise<string | undefined> {
  try {
    return await readFile(`/proc/${pid}/${file}`, "utf8");
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}

function isGone(error: unknown): boolean {
  const code = systemCodeOf(error);
  return code === "ENOENT" || code === "ESRCH";
}
