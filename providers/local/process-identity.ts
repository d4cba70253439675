/**
 * Which process a pid means: pids are used again, so a pid alone does not say.
 *
 * A process is named by its start, in clock ticks since the machine's own, together with the id
 * of that start of the machine.
 */
import { readFile } from "node:fs/promises";
import { messageOf, PlatformError } from "../../core/index.ts";

const BOOT_ID = "/proc/sys/kernel/random/boot_id";

/**
 * The name of the process that has a pid now; undefined when none lives.
 *
 * Source: proc_pid_stat(5) and proc_sys_kernel(5), Linux man-pages 6.9 (read 2026-11).
 *
 * @throws PlatformError `unavailable` when the kernel does not say.
 */
export async function processIdentity(pid: number): Promise<string | undefined> {
  try {
    const [stat, bootId] = await Promise.all([
      readFile(`/proc/${pid}/stat`, "utf8"),
      readFile(BOOT_ID, "utf8"),
    ]);
    const ticks = startTicksOf(stat);
    return ticks === undefined ? undefined : `${bootId.trim()}/${ticks}`;
  } catch (error) {
    if (isGone(error)) return undefined;
    throw new PlatformError(`cannot tell whether process ${pid} runs (${messageOf(error)})`, {
      code: "unavailable",
      retryable: true,
      cause: error,
    });
  }
}

/** Places of the fields after the command's name, which is in brackets and may hold anything. */
const STATE = 0;
const START_TIME = 19;
/** A zombie, and what is about to be none: both have ended. */
const ENDED = ["Z", "X", "x"];

/** The start of a process in a line of `/proc/PID/stat`; undefined when it has ended. */
export function startTicksOf(stat: string): string | undefined {
  const fields = stat
    .slice(stat.lastIndexOf(")") + 1)
    .trim()
    .split(" ");
  return ENDED.includes(fields[STATE] ?? "") ? undefined : fields[START_TIME];
}

/** The process ended before it could be looked at, or while it was. */
function isGone(error: unknown): boolean {
  if (!(error instanceof Error && "code" in error)) return false;
  const isOfProcess = !("path" in error && error.path === BOOT_ID);
  return isOfProcess && (error.code === "ENOENT" || error.code === "ESRCH");
}
