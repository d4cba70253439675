/** This machine as a node: its agent is kept running while the platform runs. */
import { join } from "node:path";
import { PlatformError, type Clock } from "../../core/index.ts";
import type { AgentConfig } from "../../sandbox/index.ts";
import {
  agentLogTail,
  removeAgentDir,
  startAgentProcess,
  type AgentProcess,
} from "./agent-process.ts";

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
/** From the start of an agent to its first connection, its base image built meanwhile. */
const JOIN_MS_MAX = 60_000;
const JOIN_POLL_MS = 10;

/** Keeps the agent of the local node alive until `close`. */
export class LocalNode {
  readonly #options: LocalNodeOptions;
  readonly #closing = new AbortController();
  #agent: AgentProcess | undefined;
  #loop: Promise<void> | undefined;
  #endedCount = 0;

  constructor(options: LocalNodeOptions) {
    this.#options = options;
  }

  get #dataDir(): string {
    return join(this.#options.agentsDir, this.#options.nodeId);
  }

  start(): void {
    this.#loop = this.#keepRunning();
  }

  /**
   * Resolves once `hasJoined`.
   *
   * @throws PlatformError with the end of its log when the agent ends instead, or takes too long.
   */
  async untilJoined(hasJoined: () => boolean): Promise<void> {
    const { clock } = this.#options;
    const deadlineMs = clock.nowMs() + JOIN_MS_MAX;
    while (!hasJoined()) {
      const isLate = clock.nowMs() > deadlineMs;
      if (isLate || this.#endedCount > 0) {
        const what = isLate ? `has not joined after ${JOIN_MS_MAX / 1000} s` : "ended at its start";
        throw new PlatformError(
          `the node agent of this machine ${what}; see \`flotilla doctor\`. ` +
            `Its log ends:\n${agentLogTail(this.#dataDir)}`,
          { code: "unavailable", retryable: false },
        );
      }
      await clock.sleep(JOIN_POLL_MS);
    }
  }

  /** Ends the agent and removes its folder: the next start is another node. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#agent?.terminate();
    await this.#loop;
    await removeAgentDir(this.#dataDir);
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
      this.#endedCount += 1;
      await clock.sleep(RESTART_MS, this.#closing.signal);
    }
  }

  async #startAgent(): Promise<AgentProcess> {
    const { cacheDir, nodeId, joinToken, config, clock } = this.#options;
    const token = await joinToken();
    const dataDir = this.#dataDir;
    return startAgentProcess({ config: { ...config, dataDir, nodeId, token }, cacheDir, clock });
  }
}
