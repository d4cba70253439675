/** `flotilla up`: the platform on this machine, in the foreground or in the background. */
import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { PlatformConfig } from "../config.ts";
import { loadConfig } from "../load-config.ts";
import { startPlatform } from "../platform.ts";
import { writeClientSettings } from "./client-file.ts";
import { flagsOf, type UpOptions } from "./flags.ts";
import { CommandError, settle } from "./outcome.ts";
import {
  claimDataDir,
  makeDataDir,
  publishReady,
  readLiveState,
  releaseDataDir,
} from "./platform-state.ts";
import { nextStop } from "./stop-signal.ts";

const READY_MS_MAX = 120_000;
const POLL_MS = 100;
const LOG_LINES_SHOWN = 20;

/** Runs `flotilla up` until it is told to stop, or until it is ready with `--detach`. */
export async function runUp(options: UpOptions): Promise<void> {
  await settle(async () => {
    const config = loadConfig(flagsOf(options), process.env);
    if (options.detach === true) await upDetached(config, options);
    else await upForeground(config, options);
  });
}

async function upForeground(config: PlatformConfig, options: UpOptions): Promise<void> {
  const startedAtMs = Date.now();
  const live = claimDataDir(config.dataDir, startedAtMs);
  if (live !== undefined) {
    say(options, { ...live, dataDir: config.dataDir, alreadyRunning: true });
    return;
  }
  if (options.json !== true) console.error(`Starting a platform on ${config.dataDir} ...`);
  // Redis and agents inherit the environment, and need no key.
  Reflect.deleteProperty(process.env, "FLOTILLA_SECRET_KEY");
  const stop = nextStop(() => releaseDataDir(config.dataDir));
  try {
    const platform = await startPlatform(config);
    try {
      writeClientSettings({ serverUrl: platform.url, token: platform.adminToken });
      const ready = { url: platform.url, emulators: platform.emulatorUrls };
      publishReady(config.dataDir, { startedAtMs, ...ready });
      const startMs = Date.now() - startedAtMs;
      const { pid } = process;
      const { dataDir } = config;
      say(options, { pid, dataDir, ...ready, startMs, alreadyRunning: false });
      await stop;
      if (options.json !== true) console.error("Stopping (again to stop at once) ...");
    } finally {
      await platform.close();
    }
  } finally {
    releaseDataDir(config.dataDir);
  }
  if (options.json !== true) console.error("Stopped; what is in its data folder stays.");
}

async function upDetached(config: PlatformConfig, options: UpOptions): Promise<void> {
  const live = readLiveState(config.dataDir);
  // One that is still starting has no address to tell: it is waited for like our own.
  if (live?.url !== undefined) {
    say(options, { ...live, dataDir: config.dataDir, alreadyRunning: true });
    return;
  }
  const startedAtMs = Date.now();
  makeDataDir(config.dataDir);
  const logFile = join(config.dataDir, "platform.log");
  const log = { path: logFile, startByte: existsSync(logFile) ? statSync(logFile).size : 0 };
  if (options.json !== true) console.error(`Starting a platform on ${config.dataDir} ...`);
  const child = spawnDetached(logFile);
  const ready = await untilReady(child, config.dataDir, log);
  const startMs = Date.now() - startedAtMs;
  const alreadyRunning = ready.pid !== child.pid;
  say(options, { ...ready, dataDir: config.dataDir, startMs, logFile, alreadyRunning });
  child.unref();
}

/** The same command without `--detach`, with its own session and its output in `logFile`. */
function spawnDetached(logFile: string): ChildProcess {
  const log = openSync(logFile, "a", 0o600);
  try {
    const own = process.argv.slice(1).filter((argument) => argument !== "--detach");
    return spawn(process.execPath, [...process.execArgv, ...own], {
      detached: true,
      stdio: ["ignore", log, log],
    });
  } finally {
    closeSync(log);
  }
}

interface Ready {
  readonly pid: number;
  readonly url: string;
  readonly emulators: Readonly<Record<string, string>>;
}

/**
 * The platform of the folder once it answers: the child's, or that of an `up` which was faster,
 * in whose favour the child has ended.
 *
 * @throws CommandError with the end of the log when the platform does not come up.
 */
async function untilReady(child: ChildProcess, dataDir: string, log: Log): Promise<Ready> {
  const deadlineMs = Date.now() + READY_MS_MAX;
  let startFailure: Error | undefined;
  child.once("error", (error) => (startFailure = error));
  while (Date.now() < deadlineMs) {
    if (startFailure !== undefined) throw startFailure;
    const hasEnded = child.exitCode !== null || child.signalCode !== null;
    const state = readLiveState(dataDir);
    if (hasEnded && state === undefined) break;
    if (state?.url !== undefined && (await isHealthy(state.url))) {
      return { pid: state.pid, url: state.url, emulators: state.emulators ?? {} };
    }
    await sleep(POLL_MS);
  }
  child.kill("SIGTERM");
  const ended = child.exitCode ?? child.signalCode;
  const what = ended === null ? `was not ready after ${READY_MS_MAX / 1000} s` : `ended (${ended})`;
  throw new CommandError("failed", `the platform ${what}. Its log ends:\n${tail(log)}`, {
    nextStep: `read ${log.path}, and see what this machine lacks with \`flotilla doctor\``,
  });
}

/** True when the platform at `url` answers; not answering yet is a normal outcome. */
async function isHealthy(url: string): Promise<boolean> {
  const answer = await fetch(`${url}/health`, { signal: AbortSignal.timeout(2_000) }).catch(
    () => undefined,
  );
  return answer?.ok === true;
}

/** A log file, and where in it this start begins. */
interface Log {
  readonly path: string;
  readonly startByte: number;
}

function tail({ path, startByte }: Log): string {
  const text = readFileSync(path).subarray(startByte).toString("utf8");
  return text.trimEnd().split("\n").slice(-LOG_LINES_SHOWN).join("\n");
}

interface UpReport {
  readonly alreadyRunning: boolean;
  readonly pid: number | undefined;
  readonly dataDir: string;
  /** Absent while another `up` is still starting. */
  readonly url?: string;
  /** Endpoints of its emulated clouds. */
  readonly emulators?: Readonly<Record<string, string>>;
  readonly startMs?: number;
  readonly logFile?: string;
}

function say(options: UpOptions, report: UpReport): void {
  const { alreadyRunning, pid, url, dataDir, emulators = {}, startMs, logFile } = report;
  if (options.json === true) {
    const known = { url: url ?? null, pid, dataDir, emulators, alreadyRunning, startMs, logFile };
    console.log(JSON.stringify(known));
    return;
  }
  if (alreadyRunning) {
    const what = url === undefined ? "is starting already" : `runs already at ${url}`;
    console.log(`Flotilla ${what} (pid ${pid ?? "unknown"}, data in ${dataDir}).`);
    return;
  }
  console.log(
    `✔ Flotilla is ready at ${url ?? "no address"} (${((startMs ?? 0) / 1000).toFixed(1)} s)`,
  );
  console.log(`  data   ${dataDir}`);
  sayEmulators(emulators);
  if (logFile !== undefined) console.log(`  log    ${logFile}`);
  const folder = options.data === undefined ? "" : ` --data ${dataDir}`;
  console.log(`  stop   ${options.detach === true ? `flotilla down${folder}` : "ctrl-C"}`);
}

function sayEmulators(emulators: Readonly<Record<string, string>>): void {
  for (const [cloud, endpoint] of Object.entries(emulators)) {
    console.log(`  ${cloud.padEnd(5)}  EMULATED at ${endpoint}, its controls under /_emulator/`);
  }
}
