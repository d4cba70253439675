/** What a killed platform leaves running: its redis-server, its agents and their containers. */
import { join } from "node:path";
import { endLeftoverAgents } from "../fleet/agent-process.ts";
import { endLeftoverRedis } from "../redis/redis-child.ts";
import { systemClock } from "../system-clock.ts";

/** Where a data folder has the agents that run on this machine. */
export function agentsDirOf(dataDir: string): string {
  return join(dataDir, "agents");
}

/**
 * Ends all of it; the caller holds the data folder.
 *
 * @returns how many servers and agents there were, their containers not counted.
 */
export async function endLeftovers(dataDir: string): Promise<number> {
  const [redisPid, agentCount] = await Promise.all([
    endLeftoverRedis(dataDir),
    endLeftoverAgents(agentsDirOf(dataDir), systemClock),
  ]);
  return agentCount + (redisPid === undefined ? 0 : 1);
}
