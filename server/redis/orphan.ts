/**
 * The pid file of our redis-server, and what to do about the one it names.
 *
 * When the platform is killed its redis-server lives on, holding the data folder. The next
 * start ends it (its append-only file is flushed first, so nothing is lost) before it starts
 * its own. It is ended only if it is ours beyond doubt: the pid file names it, it is the same
 * process by start time, and its command line holds our folder. If the platform that
 * supervises it still runs, the start is refused instead.
 */
import { readFile, rm, writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { PlatformError, systemCodeOf } from "../../core/index.ts";
import { connectRedis } from "./endpoint.ts";
import { commandLineOf, identify, isRunning, type ProcessIdentity } from "./process-facts.ts";

const END_POLL_MS = 20;
const SOCKET_TIMEOUT_MS = 2_000;

/** Who runs in a data folder. */
interface PidFile {
  readonly redis: ProcessIdentity;
  readonly supervisor: ProcessIdentity;
}

/** Notes that this process supervises `pid`. */
export async function writePidFile(file: string, pid: number): Promise<void> {
  const gone = (of: number): ProcessIdentity => ({ pid: of, startTicks: 0 });
  const content: PidFile = {
    redis: (await identify(pid)) ?? gone(pid),
    supervisor: (await identify(process.pid)) ?? gone(process.pid),
  };
  await writeFile(file, JSON.stringify(content), { mode: 0o600 });
}

export interface OrphanSearch {
  readonly pidFile: string;
  readonly socketPath: string;
  /** The `--dir` that its command line must hold. */
  readonly folder: string;
  /** How long it may take to flush before it is killed. */
  readonly graceMs: number;
}

/**
 * Ends a redis-server that a killed predecessor left on this folder.
 *
 * @returns Its pid when there was one.
 * @throws PlatformError `conflict` when a running platform supervises it.
 */
export async function endOrphan(search: OrphanSearch): Promise<number | undefined> {
  const { pidFile, folder } = search;
  const noted = await readPidFile(pidFile);
  const redis = await findOurs([noted?.redis, await identifyOnSocket(search.socketPath)], folder);
  if (redis !== undefined) {
    await refuseIfSupervised(noted, folder);
    await endProcess(redis, search.graceMs);
  }
  await rm(pidFile, { force: true });
  return redis?.pid;
}

/** Asks a process to end, and kills it when it has not after `graceMs`. */
export async function endProcess(identity: ProcessIdentity, graceMs: number): Promise<void> {
  signal(identity.pid, "SIGTERM");
  const deadlineMs = performance.now() + graceMs;
  while (await isRunning(identity)) {
    if (performance.now() > deadlineMs) signal(identity.pid, "SIGKILL");
    await sleep(END_POLL_MS);
  }
}

async function refuseIfSupervised(noted: PidFile | undefined, folder: string): Promise<void> {
  const supervisor = noted?.supervisor;
  if (supervisor === undefined || supervisor.pid === process.pid) return;
  if (!(await isRunning(supervisor))) return;
  throw new PlatformError(
    `another platform (process ${supervisor.pid}) runs on ${folder}; ` +
      "stop it first, or choose another data folder",
    { code: "conflict", retryable: false, details: { pid: supervisor.pid } },
  );
}

/**
 * Whoever answers on the socket: finds a redis-server whose supervisor was killed before it
 * could write the pid file.
 */
async function identifyOnSocket(path: string): Promise<ProcessIdentity | undefined> {
  const redis = connectRedis({ path }, "orphan", () => undefined, {
    lazyConnect: true,
    enableReadyCheck: false,
    commandTimeout: SOCKET_TIMEOUT_MS,
    retryStrategy: () => null,
  });
  try {
    await redis.connect();
    const pid = /^process_id:([0-9]+)/m.exec(await redis.info("server"))?.[1];
    return pid === undefined ? undefined : await identify(Number(pid));
  } catch {
    // Nobody listens, or nobody who speaks Redis: then there is nothing to end.
    return undefined;
  } finally {
    redis.disconnect();
  }
}

async function findOurs(
  candidates: readonly (ProcessIdentity | undefined)[],
  folder: string,
): Promise<ProcessIdentity | undefined> {
  for (const candidate of candidates) {
    if (candidate !== undefined && (await isOurs(candidate, folder))) return candidate;
  }
  return undefined;
}

async function isOurs(redis: ProcessIdentity, folder: string): Promise<boolean> {
  if (!(await isRunning(redis))) return false;
  const words = (await commandLineOf(redis.pid)) ?? [];
  const dirIndex = words.indexOf("--dir");
  return (words[0] ?? "").endsWith("redis-server") && words[dirIndex + 1] === folder;
}

async function readPidFile(file: string): Promise<PidFile | undefined> {
  try {
    const content: unknown = JSON.parse(await readFile(file, "utf8"));
    return isPidFile(content) ? content : undefined;
  } catch (error) {
    if (error instanceof SyntaxError || systemCodeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

function isPidFile(content: unknown): content is PidFile {
  if (typeof content !== "object" || content === null) return false;
  return (
    "redis" in content &&
    isIdentity(content.redis) &&
    "supervisor" in content &&
    isIdentity(content.supervisor)
  );
}

function isIdentity(value: unknown): value is ProcessIdentity {
  if (typeof value !== "object" || value === null) return false;
  if (!("pid" in value) || !("startTicks" in value)) return false;
  // A pid of 0 or less would signal whole process groups.
  return Number.isSafeInteger(value.pid) && Number(value.pid) > 1 && isTicks(value.startTicks);
}

function isTicks(value: unknown): boolean {
  return typeof value === "number" && value >= 0;
}

function signal(pid: number, name: "SIGTERM" | "SIGKILL"): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if (systemCodeOf(error) !== "ESRCH") throw error;
  }
}
