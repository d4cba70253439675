/** This machine as a node: its agent is kept running while the platform runs. */
import { join } from "node:path";
import type { Clock } from "../../core/index.ts";
import type { AgentConfig } from "../../sandbox/index.ts";
import { startAgentProcess, type AgentProcess } from "./agent-process.ts";

export interface LocalNodeOptions {
  readonly agentsDir: string;
  readonly cacheDir: string;
  readonly nodeId: string;
  /** A fresh token for each start of the agent. */
  readonly joinToken: () => Promise<string>;
  readonly config: Omit<AgentConfig, "dataDir" | "token" | "nodeId">;
  readonly clock: Clock;
  readonly onError: (error: unknown, doing: string) => void;
}

const RESTART_MS = 500;

/** Keeps the agent of the local node alive until `close`. */
export class LocalNode {
  readonly #options: LocalNodeOptions;
  readonly #closing = new AbortController();
  #agent: AgentProcess | undefined;
  #loop: Promise<void> | undefined;

  constructor(options: LocalNodeOptions) {
    this.#options = options;
  }

  start(): void {
    this.#loop = this.#keepRunning();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#agent?.terminate();
    await this.#loop;
  }

  async #keepRunning(): Promise<void> {
    const { clock, onError } = this.#options;
    while (!this.#closing.signal.aborted) {
      try {
        this.#agent = await this.#startAgent();
        await this.#agent.exited;
      } catch (error) {
        onError(error, "running the local node agent");
      }
      await clock.sleep(RESTART_MS, this.#closing.signal);
    }
  }

  async #startAgent(): Promise<AgentProcess> {
    const { agentsDir, cacheDir, nodeId, joinToken, config, clock } = this.#options;
    const token = await joinToken();
    const dataDir = join(agentsDir, nodeId);
    return startAgentProcess({ config: { ...config, dataDir, nodeId, token }, cacheDir, clock });
  }
}
