/** What a killed platform leaves running: its redis-server, its agents and their containers. */
import { join } from "node:path";
import { endLeftoverAgents } from "../fleet/agent-process.ts";
import { endLeftoverRedis } from "../redis/redis-child.ts";
import { systemClock } from "../system-clock.ts";

/** Where a data folder has the agents of emulated machines. */
export function agentsDirOf(dataDir: string): string {
  return join(dataDir, "agents");
}

/** Where a data folder has the agents of its own machine's provider. */
export function localAgentsDirOf(dataDir: string): string {
  return join(dataDir, "local");
}

/**
 * Ends all of it; the caller holds the data folder.
 *
 * @returns how many servers and agents there were, their containers not counted.
 */
export async function endLeftovers(dataDir: string): Promise<number> {
  const [redisPid, emulatedCount, localCount] = await Promise.all([
    endLeftoverRedis(dataDir),
    endLeftoverAgents(agentsDirOf(dataDir), systemClock),
    endLeftoverAgents(localAgentsDirOf(dataDir), systemClock),
  ]);
  return emulatedCount + localCount + (redisPid === undefined ? 0 : 1);
}
