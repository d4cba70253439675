/**
 * Node agents as processes of this machine: the local node's, and the emulated clouds'.
 *
 * Each has a folder with its settings, its log, its pid and all that its containers need, so
 * that whoever finds the folder later can end what a killed platform left behind.
 */
import { spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Clock } from "../../core/index.ts";
import { reap, type AgentConfig } from "../../sandbox/index.ts";

const AGENT_MAIN = fileURLToPath(new URL("../../sandbox/agent/main.ts", import.meta.url));
const PID_FILE = "agent.pid";
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
}

/** Starts an agent whose folder is `config.dataDir`. */
export async function startAgentProcess(options: AgentProcessOptions): Promise<AgentProcess> {
  const { config, cacheDir, clock } = options;
  const { dataDir } = config;
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const configFile = join(dataDir, "agent.json");
  await writeFile(configFile, JSON.stringify(config), { mode: 0o600 });
  const log = openSync(join(dataDir, LOG_FILE), "a", 0o600);
  const child = spawn(process.execPath, [AGENT_MAIN, "--config", configFile, "--cache", cacheDir], {
    stdio: ["ignore", log, log],
  });
  closeSync(log);
  const exited = new Promise<void>((resolve) => {
    child.once("exit", () => resolve());
    child.once("error", () => resolve());
  });
  await writeFile(join(dataDir, PID_FILE), String(child.pid ?? 0));
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
    const dataDir = join(root, name);
    if (await killAgentOf(dataDir, clock)) endedCount += 1;
    await reap(dataDir);
    await removeAgentDir(dataDir);
  }
  return endedCount;
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
  const pidFile = join(dataDir, PID_FILE);
  if (!existsSync(pidFile)) return false;
  const pid = Number(readFileSync(pidFile, "utf8"));
  if (!runsAgentOf(pid, dataDir)) return false;
  while (runsAgentOf(pid, dataDir)) {
    process.kill(pid, "SIGKILL");
    await clock.sleep(POLL_MS);
  }
  return true;
}

/** Whether `pid` is, this moment, the agent of that very folder and not a stranger. */
function runsAgentOf(pid: number, dataDir: string): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 1) return false;
  try {
    const command = readFileSync(`/proc/${pid}/cmdline`, "utf8");
    return command.includes(AGENT_MAIN) && command.includes(dataDir);
  } catch {
    // No such process, or it ended while we looked.
    return false;
  }
}
