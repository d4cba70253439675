/**
 * Which process runs the platform of a data folder: `platform.json` in that folder.
 *
 * The file is created exclusively before anything starts, so of two `up` on one folder one
 * wins. It names its process by pid and start time: after a crash the pid may belong to a
 * stranger, and a stranger is neither "running already" nor ever sent a signal.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { messageOf, PlatformError, systemCodeOf } from "../../core/index.ts";

/** A platform as its state file describes it. */
export interface PlatformState {
  readonly pid: number;
  /** Start time of the process in kernel ticks since boot; absent where /proc is. */
  readonly startTicks?: string;
  readonly startedAtMs: number;
  /** Absent while it starts. */
  readonly url?: string;
  /** Endpoints of its emulated clouds by cloud; absent while it starts, or when it has none. */
  readonly emulators?: Readonly<Record<string, string>>;
}

/** The path of the state file of a data folder. */
export function stateFilePath(dataDir: string): string {
  return join(dataDir, "platform.json");
}

/** Makes the data folder unless it is there. @throws PlatformError when that is impossible */
export function makeDataDir(dataDir: string): void {
  try {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new PlatformError(
      `cannot keep data in ${dataDir} (${messageOf(error)}); choose another folder with --data`,
      { code: "invalid_request", retryable: false, cause: error },
    );
  }
}

/** The state of the live platform of `dataDir`; absent when none runs there. */
export function readLiveState(dataDir: string): PlatformState | undefined {
  const path = stateFilePath(dataDir);
  if (!existsSync(path)) return undefined;
  const state = parseState(readFileSync(path, "utf8"));
  return state !== undefined && isAlive(state) ? state : undefined;
}

/**
 * Claims `dataDir` for this process.
 *
 * @returns Absent when claimed, or the live state of the platform that has it.
 */
export function claimDataDir(dataDir: string, nowMs: number): PlatformState | undefined {
  makeDataDir(dataDir);
  const path = stateFilePath(dataDir);
  const own = { ...identityOf(process.pid), startedAtMs: nowMs };
  for (;;) {
    try {
      writeFileSync(path, JSON.stringify(own), { flag: "wx", mode: 0o600 });
      return undefined;
    } catch (error) {
      if (systemCodeOf(error) !== "EEXIST") throw error;
    }
    const live = readLiveState(dataDir);
    if (live !== undefined) return live;
    rmSync(path, { force: true });
  }
}

/** Says that the platform of this process is ready, and where. */
export function publishReady(
  dataDir: string,
  ready: Pick<PlatformState, "startedAtMs" | "url" | "emulators">,
): void {
  const path = stateFilePath(dataDir);
  const state: PlatformState = { ...identityOf(process.pid), ...ready };
  writeFileSync(`${path}.new`, JSON.stringify(state), { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

/** Gives `dataDir` up; nothing happens when another process has it. */
export function releaseDataDir(dataDir: string): void {
  if (readLiveState(dataDir)?.pid === process.pid) rmSync(stateFilePath(dataDir), { force: true });
}

/** True while the very process of `state` runs; one that ended and was not reaped does not. */
export function isAlive(state: PlatformState): boolean {
  try {
    process.kill(state.pid, 0);
  } catch (error) {
    if (systemCodeOf(error) === "ESRCH") return false;
    if (systemCodeOf(error) !== "EPERM") throw error;
  }
  if (state.startTicks === undefined) return true;
  const found = processOf(state.pid);
  return found !== undefined && !found.ended && found.startTicks === state.startTicks;
}

function identityOf(pid: number): Pick<PlatformState, "pid" | "startTicks"> {
  const startTicks = processOf(pid)?.startTicks;
  return startTicks === undefined ? { pid } : { pid, startTicks };
}

interface KernelProcess {
  readonly startTicks: string | undefined;
  /** It has ended; only its parent has not asked how yet. */
  readonly ended: boolean;
}

/** Fields 3 and 22 of /proc/PID/stat (proc(5)); the command name before them may hold anything. */
function processOf(pid: number): KernelProcess | undefined {
  const path = `/proc/${pid}/stat`;
  if (!existsSync(path)) return undefined;
  try {
    const text = readFileSync(path, "utf8");
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return { startTicks: fields[19], ended: ["Z", "X"].includes(fields[0] ?? "") };
  } catch (error) {
    if (systemCodeOf(error) === "ENOENT" || systemCodeOf(error) === "ESRCH") return undefined;
    throw error;
  }
}

function parseState(text: string): PlatformState | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null) return undefined;
    const state = value as PlatformState;
    return Number.isSafeInteger(state.pid) && state.pid > 0 ? state : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
