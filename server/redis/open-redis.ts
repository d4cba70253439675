import { checkRedis } from "./check-redis.ts";
import type { RedisEndpoint } from "./endpoint.ts";
import { startRedisChild, type RedisExit } from "./redis-child.ts";

export interface OpenRedisOptions {
  readonly dataDir: string;
  /** Absent: a redis-server child of our own. */
  readonly redisUrl?: string | undefined;
  /** Our own redis-server ended without being asked; it is being started again. */
  readonly onExit: (exit: RedisExit) => void;
}

/** The Redis of this platform, its own or another's. */
export interface OpenedRedis {
  readonly endpoint: RedisEndpoint;
  /** Ends our own redis-server, flushed; leaves another's alone. */
  close(): Promise<void>;
}

/**
 * A Redis that answers and does not evict: the one at `redisUrl`, else a child of our own.
 *
 * @throws PlatformError as `checkRedis` and `startRedisChild` do.
 */
export async function openRedis(options: OpenRedisOptions): Promise<OpenedRedis> {
  const { dataDir, redisUrl, onExit } = options;
  if (redisUrl !== undefined) {
    const endpoint = { url: redisUrl };
    await checkRedis(endpoint);
    return { endpoint, close: () => Promise.resolve() };
  }
  const child = await startRedisChild({ dataDir });
  child.onExit(onExit);
  return { endpoint: child.endpoint, close: () => child.stop() };
}
