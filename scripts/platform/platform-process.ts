/** Starts `flotilla up` as a user would, in a folder of its own. */
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { ROOT, stepEnvironment } from "../steps.ts";

const READY_MS_MAX = 60_000;
const STOP_MS_MAX = 15_000;
/** Building an image for the first time takes minutes. */
const COMMAND_MS_MAX = 600_000;
const OUTPUT_BYTES_MAX = 256 * 1024 * 1024;
const CLI = join(ROOT, "sdk", "bin", "flotilla.mjs");

/** A platform of its own, with the settings a client needs. */
export interface RunningPlatform {
  readonly pid: number;
  readonly serverUrl: string;
  readonly token: string;
  /** Endpoints of its emulated clouds. */
  readonly emulators: Readonly<Record<string, string>>;
  /** Ends it and waits until its process is gone. */
  stop(): Promise<void>;
}

/** Where a run keeps everything, and how its platform is started. */
export interface PlatformOptions {
  readonly scratchDir: string;
  readonly upArguments: readonly string[];
  /** Settings for it, beside those of every run. */
  readonly environment?: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
}

/** The part of what `up --json` says that a run needs. */
interface UpReport {
  readonly url: string;
  readonly emulators: Readonly<Record<string, string>>;
}

/** The environment in which every command of this run works: its own home, its own data. */
export function runEnvironment(scratchDir: string): NodeJS.ProcessEnv {
  return { ...stepEnvironment(), FLOTILLA_HOME: join(scratchDir, "home") };
}

/** Starts the platform and waits until it is ready. @throws Error with the end of its log. */
export async function startPlatformProcess(options: PlatformOptions): Promise<RunningPlatform> {
  const { scratchDir, upArguments, environment = {}, signal } = options;
  const logFile = join(scratchDir, "platform.log");
  const log = openSync(logFile, "a");
  // Its own session: a ctrl-C goes to this process, which ends the platform in order.
  const child = spawn(
    process.execPath,
    [CLI, "up", "--json", "--data", join(scratchDir, "data"), ...upArguments],
    {
      env: { ...runEnvironment(scratchDir), ...environment },
      detached: true,
      stdio: ["ignore", "pipe", log],
    },
  );
  closeSync(log);
  try {
    const { url, emulators } = JSON.parse(await firstLine(child, signal)) as UpReport;
    const clientFile = join(scratchDir, "home", "client.json");
    const { token } = JSON.parse(readFileSync(clientFile, "utf8")) as { readonly token: string };
    return { pid: child.pid ?? 0, serverUrl: url, token, emulators, stop: () => stop(child) };
  } catch (error) {
    await stop(child);
    throw new Error(`flotilla up did not come up. ${logTail(scratchDir)}`, { cause: error });
  }
}

/** The last lines that the platform of this run wrote. */
export function logTail(scratchDir: string): string {
  const path = join(scratchDir, "platform.log");
  if (!existsSync(path)) return "It wrote no log.";
  const lines = readFileSync(path, "utf8").trimEnd().split("\n").slice(-20);
  return `The end of its log:\n${lines.join("\n")}`;
}

/** How a command of the command line ended. */
export interface CommandResult {
  /** Its exit code; absent when a signal ended it. */
  readonly status: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs one command against the run of `scratchDir`, whatever its outcome. */
export function runFlotilla(
  scratchDir: string,
  commandArguments: readonly string[],
  environment: NodeJS.ProcessEnv = {},
): CommandResult {
  const { status, stdout, stderr } = spawnSync(process.execPath, [CLI, ...commandArguments], {
    cwd: ROOT,
    env: { ...runEnvironment(scratchDir), ...environment },
    encoding: "utf8",
    timeout: COMMAND_MS_MAX,
    maxBuffer: OUTPUT_BYTES_MAX,
  });
  return { status: status ?? undefined, stdout, stderr };
}

/** Runs one command. @returns what it printed. @throws Error with what it said when it fails */
export function flotilla(scratchDir: string, commandArguments: readonly string[]): string {
  const { status, stdout, stderr } = runFlotilla(scratchDir, commandArguments);
  if (status === 0) return stdout;
  const said = `${stdout}${stderr}`.trim();
  throw new Error(
    `flotilla ${commandArguments.join(" ")} failed (${status ?? "killed"}):\n${said}`,
  );
}

async function firstLine(child: ChildProcess, signal: AbortSignal): Promise<string> {
  const { stdout } = child;
  if (stdout === null) throw new Error("flotilla up has no output");
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(READY_MS_MAX)]);
  return await new Promise((resolve, reject) => {
    createInterface({ input: stdout }).once("line", resolve);
    child.once("error", reject);
    child.once("exit", (code) => {
      reject(new Error(`it ended with ${code ?? "a signal"}`));
    });
    deadline.addEventListener("abort", () => {
      reject(new Error("it was not ready in time, or was told to stop"));
    });
  });
}

async function stop(child: ChildProcess): Promise<void> {
  const ended = (): boolean => child.exitCode !== null || child.signalCode !== null;
  if (child.pid === undefined || ended()) return;
  child.kill("SIGTERM");
  const deadlineMs = Date.now() + STOP_MS_MAX;
  while (!ended() && Date.now() < deadlineMs) await sleep(50);
  if (!ended()) child.kill("SIGKILL");
}
