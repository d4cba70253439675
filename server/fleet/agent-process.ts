/**
 * Node agents as processes of this machine: the local node's, and the emulated clouds'.
 *
 * Each has a folder with its settings, its log and all that its containers need, and the path
 * of its settings in its command line; so whoever finds the folder later can find the agent of a
 * killed platform too, and end it with all that it ran.
 */
import { spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { MS_PER_MINUTE, systemCodeOf, type Clock } from "../../core/index.ts";
import { reap, type AgentConfig } from "../../sandbox/index.ts";

const AGENT_MAIN = fileURLToPath(new URL("../../sandbox/agent/main.ts", import.meta.url));
const CONFIG_FILE = "agent.json";
const LOG_FILE = "agent.log";
const LOG_LINES_SHOWN = 20;
/** How long an agent may take to stop its containers before it is killed. */
const STOP_MS = 10_000;
const POLL_MS = 25;

/** A running agent process. */
export interface AgentProcess {
  readonly pid: number;
  /** Resolves when the process has ended, however it did. */
  readonly exited: Promise<void>;
  /** Stops it and everything it runs, at the latest by force; resolves when all is gone. */
  terminate(): Promise<void>;
}

export interface AgentProcessOptions {
  readonly config: AgentConfig;
  /** Where the agents of this machine keep images and runners together. */
  readonly cacheDir: string;
  readonly clock: Clock;
  /** In a session of its own, so that nothing that ends this process ends it. */
  readonly isDetached?: boolean;
}

/** How long an agent of this machine goes on while its server is away, with its containers. */
export const ALONE_MS_MAX = 10 * MS_PER_MINUTE;

/** Starts an agent whose folder is `config.dataDir`. */
export async function startAgentProcess(options: AgentProcessOptions): Promise<AgentProcess> {
  const { config, cacheDir, clock, isDetached = false } = options;
  const { dataDir } = config;
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const configFile = join(dataDir, CONFIG_FILE);
  await writeFile(configFile, JSON.stringify(config), { mode: 0o600 });
  const log = openSync(join(dataDir, LOG_FILE), "a", 0o600);
  const child = spawn(process.execPath, [AGENT_MAIN, "--config", configFile, "--cache", cacheDir], {
    stdio: ["ignore", log, log],
    detached: isDetached,
  });
  closeSync(log);
  const exited = new Promise<void>((resolve) => {
    child.once("exit", () => resolve());
    child.once("error", () => resolve());
  });
  return {
    pid: child.pid ?? 0,
    exited,
    terminate: async () => {
      child.kill("SIGTERM");
      const stopped = await Promise.race([
        exited.then(() => true),
        clock.sleep(STOP_MS).then(() => false),
      ]);
      if (!stopped) child.kill("SIGKILL");
      await exited;
      await reap(dataDir);
    },
  };
}

/**
 * Ends the agents under `root` that a killed platform left, with all that they ran, and removes
 * their folders: no agent of this machine outlives its platform.
 *
 * @returns how many agents still ran.
 */
export async function endLeftoverAgents(root: string, clock: Clock): Promise<number> {
  if (!existsSync(root)) return 0;
  let endedCount = 0;
  for (const name of readdirSync(root)) {
    if (await endLeftoverAgent(join(root, name), clock)) endedCount += 1;
  }
  return endedCount;
}

/** As `endLeftoverAgents`, for the agent of one folder; gives whether it still ran. */
export async function endLeftoverAgent(dataDir: string, clock: Clock): Promise<boolean> {
  const isRunning = await killAgentOf(dataDir, clock);
  await reap(dataDir);
  await removeAgentDir(dataDir);
  return isRunning;
}

/**
 * As `AgentProcess.terminate`, for the agent of a folder, whoever started it: it may stop its
 * containers, and is killed when it takes too long.
 */
export async function endAgent(dataDir: string, clock: Clock): Promise<void> {
  const deadlineMs = clock.nowMs() + STOP_MS;
  const pid = agentPidOf(dataDir);
  if (pid !== undefined) kill(pid, "SIGTERM");
  while (agentPidOf(dataDir) !== undefined && clock.nowMs() < deadlineMs) {
    await clock.sleep(POLL_MS);
  }
  await endLeftoverAgent(dataDir, clock);
}

/** The pid of the agent of that very folder, whoever started it; undefined when none runs. */
export function agentPidOf(dataDir: string): number | undefined {
  const configFile = join(dataDir, CONFIG_FILE);
  if (!existsSync("/proc/self/cmdline")) return undefined;
  return readdirSync("/proc")
    .map(Number)
    .find((pid) => {
      const words = Number.isInteger(pid) ? commandOf(pid) : [];
      return words.includes(AGENT_MAIN) && words.includes(configFile);
    });
}

/** The end of what the agent of a folder has written. */
export function agentLogTail(dataDir: string): string {
  const path = join(dataDir, LOG_FILE);
  if (!existsSync(path)) return "";
  return readFileSync(path, "utf8").trimEnd().split("\n").slice(-LOG_LINES_SHOWN).join("\n");
}

/** Removes the folder of an agent that has ended. */
export async function removeAgentDir(dataDir: string): Promise<void> {
  await rm(dataDir, { recursive: true, force: true });
}

/** Gives whether there was one to kill. */
async function killAgentOf(dataDir: string, clock: Clock): Promise<boolean> {
  let wasThere = false;
  for (let pid = agentPidOf(dataDir); pid !== undefined; pid = agentPidOf(dataDir)) {
    wasThere = true;
    kill(pid, "SIGKILL");
    await clock.sleep(POLL_MS);
  }
  return wasThere;
}

function kill(pid: number, signal: "SIGTERM" | "SIGKILL"): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (systemCodeOf(error) !== "ESRCH") throw error;
  }
}

/** The words of a process's command line; none when it has ended. */
function commandOf(pid: number): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
  } catch {
    // It ended while we looked.
    return [];
  }
}
