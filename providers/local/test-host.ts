/** A host for tests whose agents are real processes that do nothing but wait to be ended. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { PlatformError } from "../../core/index.ts";
import type { AgentHost, AgentLaunch } from "./agent-host.ts";

/** What a test sees and orders besides. */
export interface TestHost extends AgentHost {
  /** Launches so far, in order. */
  readonly launches: readonly AgentLaunch[];
  /** The next launch starts its agent and says that it failed. */
  loseNextReply(): void;
  /** The next launch fails with this, and starts nothing. */
  failNext(error: Error): void;
  /** Ends the agent of a machine behind everybody's back. */
  kill(machineId: string): Promise<void>;
  /** Ends every agent. */
  close(): Promise<void>;
}

/** A host without agents. */
export function openTestHost(): TestHost {
  const pids = new Map<string, { readonly pid: number; readonly ended: Promise<unknown> }>();
  const launches: AgentLaunch[] = [];
  let isLost = false;
  let failure: Error | undefined;
  const end = async (machineId: string): Promise<void> => {
    const known = pids.get(machineId);
    if (known === undefined) return;
    process.kill(known.pid, "SIGKILL");
    await known.ended;
    pids.delete(machineId);
  };
  return {
    launches,
    launch: async (launch) => {
      const error = failure;
      failure = undefined;
      if (error !== undefined) throw error;
      launches.push(launch);
      const child = spawn("sleep", ["1000"], { stdio: "ignore" });
      await once(child, "spawn");
      const pid = child.pid ?? 0;
      pids.set(launch.machineId, { pid, ended: once(child, "exit") });
      if (!isLost) return pid;
      isLost = false;
      throw new PlatformError("the answer of the launch is lost; ask again", {
        code: "unavailable",
        retryable: true,
      });
    },
    find: (machineId) => Promise.resolve(pids.get(machineId)?.pid),
    end,
    loseNextReply: () => (isLost = true),
    failNext: (error) => (failure = error),
    kill: end,
    close: async () => {
      for (const machineId of pids.keys()) await end(machineId);
    },
  };
}
