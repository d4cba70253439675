/**
 * The node agents of this machine's own provider, as processes: it starts, finds and ends them.
 * They are no part of the server's: one goes on when the server is killed, and the next finds it.
 */
import { join } from "node:path";
import { messageOf, PlatformError, type Clock } from "../../core/index.ts";
import type { AgentHost, AgentLaunch } from "../../providers/index.ts";
import type { AgentConfig } from "../../sandbox/index.ts";
import {
  agentLogTail,
  agentPidOf,
  endAgent,
  startAgentProcess,
  type AgentProcess,
} from "./agent-process.ts";

export interface LocalAgentsOptions {
  /** Has a folder for each agent, named after its machine. */
  readonly agentsDir: string;
  /** Images and runners, which the agents of this machine share. */
  readonly cacheDir: string;
  readonly clock: Clock;
}

/** What an agent is told; where it keeps its things is up to who starts it. */
export type AgentSettings = Omit<AgentConfig, "dataDir">;

/** User data that `LocalAgents` starts an agent with. */
export function localUserDataOf(settings: AgentSettings): string {
  return JSON.stringify(settings);
}

export class LocalAgents implements AgentHost {
  readonly #options: LocalAgentsOptions;
  /** Those that this process started: where no system tells of processes, the only ones known. */
  readonly #own = new Map<string, AgentProcess>();
  constructor(options: LocalAgentsOptions) {
    this.#options = options;
  }

  /** @throws PlatformError `invalid_request` for user data that `localUserDataOf` did not make */
  async launch({ machineId, userData }: AgentLaunch): Promise<number> {
    const { cacheDir, clock } = this.#options;
    const config = { ...settingsIn(userData), dataDir: this.#dirOf(machineId) };
    const agent = await startAgentProcess({ config, cacheDir, clock, isDetached: true });
    this.#own.set(machineId, agent);
    return agent.pid;
  }

  find(machineId: string): Promise<number | undefined> {
    return Promise.resolve(agentPidOf(this.#dirOf(machineId)));
  }

  async end(machineId: string): Promise<void> {
    await this.#own.get(machineId)?.terminate();
    this.#own.delete(machineId);
    await endAgent(this.#dirOf(machineId), this.#options.clock);
  }

  /** The end of what the agent of a machine has written. */
  logTail(machineId: string): string {
    return agentLogTail(this.#dirOf(machineId));
  }

  #dirOf(machineId: string): string {
    return join(this.#options.agentsDir, machineId);
  }
}

/** The agent checks the rest when it reads them. */
function settingsIn(userData: string): AgentSettings {
  try {
    const value: unknown = JSON.parse(userData);
    if (typeof value === "object" && value !== null && "serverUrl" in value) {
      return value as AgentSettings;
    }
  } catch (error) {
    throw unusable(messageOf(error));
  }
  throw unusable("they name no server");
}

function unusable(why: string): PlatformError {
  return new PlatformError(
    `the user data holds no settings of an agent of this machine (${why}); make it anew`,
    { code: "invalid_request", retryable: false },
  );
}
