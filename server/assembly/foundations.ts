/** What everything else stands on: folders, keys, Redis, the record store, blobs and events. */
import { createHash, randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Redis } from "ioredis";
import type { Logger } from "pino";
import { messageOf, type Clock, type IdSource } from "../../core/index.ts";
import type { BlobKeeper } from "../blobs/blob-keeper.ts";
import type { BlobStore } from "../blobs/blob-store.ts";
import type { PlatformConfig } from "../config.ts";
import { createRedisEventBus } from "../events/redis-event-bus.ts";
import { endLeftoverAgents } from "../fleet/agent-process.ts";
import { createMetrics, type Metrics } from "../http/metrics.ts";
import { createIdSource } from "../ids.ts";
import { connectRedis } from "../redis/endpoint.ts";
import { openRedis } from "../redis/open-redis.ts";
import { findSecretKey, type FoundKey } from "../secrets/secret-key.ts";
import type { EventBus } from "../services.ts";
import type { RecordStore } from "../store/record-store.ts";
import { openRecordStore } from "../store/sqlite/open.ts";
import { recordStorePath } from "../store/store-path.ts";
import { systemClock } from "../system-clock.ts";
import { openBlobs } from "./blobs.ts";
import { openChunks, type OpenedChunks } from "./chunks.ts";
import type { Closers } from "./closers.ts";
import { agentsDirOf } from "./leftovers.ts";

export interface Foundations {
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly store: RecordStore;
  /** Blobs that stay: code, and files of images. */
  readonly blobs: BlobStore;
  /** Blobs that are needed while a call names them. */
  readonly payloadBlobs: BlobStore;
  /** Removes those that are needed no more. */
  readonly sweepBlobs: BlobKeeper["sweep"];
  /** The chunks of images. */
  readonly chunks: OpenedChunks;
  readonly events: EventBus;
  /** The connection of the call queues. */
  readonly redis: Redis;
  /** The connection of leases; its commands fail when Redis is away. */
  readonly leases: Redis;
  readonly metrics: Metrics;
  /** A key known to this platform alone, the same after every restart. */
  readonly key: Uint8Array;
  /** Encrypts the keys of secrets. */
  readonly secretKey: FoundKey;
  /** Tag of everything that this platform rents. */
  readonly clusterId: string;
  /** Folder of the agents of emulated machines. */
  readonly agentsDir: string;
  /** Images and runners of all agents of this machine. */
  readonly cacheDir: string;
  readonly onError: (error: unknown, doing: string) => void;
}

const KEY_BYTES = 32;
const LEASE_COMMAND_MS_MAX = 2_000;

/** Opens all of it; what a killed platform left, but for this machine's own agent, is ended first. */
export async function openFoundations(
  config: PlatformConfig,
  logger: Logger,
  closers: Closers,
): Promise<Foundations> {
  const { dataDir } = config;
  const clock = systemClock;
  const agentsDir = agentsDirOf(dataDir);
  mkdirSync(agentsDir, { recursive: true });
  const [redis] = await Promise.all([
    openRedis({
      dataDir,
      ...(config.redisUrl === undefined ? {} : { redisUrl: config.redisUrl }),
      onExit: (exit) => logger.warn({ exit }, "redis-server ended; starting it again"),
    }),
    endLeftoverAgents(agentsDir, clock),
  ]);
  closers.add("Redis", () => redis.close());
  const store = openRecordStore(recordStorePath(dataDir));
  closers.add("the record store", () => store.close());
  const secretKey = await openSecretKey(config, store, logger);
  const noteRedis = (error: Error): void => logger.debug({ error: error.message }, "Redis");
  const events = createRedisEventBus({ endpoint: redis.endpoint, clock, onError: noteRedis });
  closers.add("events", () => events.close());
  const queues = connectRedis(redis.endpoint, "queues", noteRedis);
  closers.add("the queues' connection", () => {
    queues.disconnect();
    return Promise.resolve();
  });
  const leases = connectRedis(redis.endpoint, "leases", noteRedis, {
    maxRetriesPerRequest: 0,
    commandTimeout: LEASE_COMMAND_MS_MAX,
  });
  closers.add("the leases' connection", () => {
    leases.disconnect();
    return Promise.resolve();
  });
  const key = keyIn(join(dataDir, "key"));
  const clusterId = createHash("sha256").update(key).update("cluster").digest("hex").slice(0, 16);
  const onError = (error: unknown, doing: string): void => {
    const stack = error instanceof Error ? error.stack : undefined;
    logger.warn({ error: messageOf(error), stack }, doing);
  };
  const keeper = await openBlobs(config, { store, clock, clusterId, logger, closers, onError });
  return {
    clock,
    ids: createIdSource(clock),
    store,
    blobs: keeper.lasting,
    payloadBlobs: keeper.payloads,
    sweepBlobs: () => keeper.sweep(),
    chunks: await openChunks(config, clusterId, closers),
    events,
    redis: queues,
    leases,
    metrics: createMetrics(),
    key,
    secretKey,
    clusterId,
    agentsDir,
    cacheDir: join(dataDir, "cache"),
    onError,
  };
}

/** A wrong key stops what needs it and nothing else; it is said at every start. */
async function openSecretKey(
  { dataDir, secretKey: given }: PlatformConfig,
  { secrets }: RecordStore,
  logger: Logger,
): Promise<FoundKey> {
  const keyIdsInUse = new Set((await secrets.list()).map(({ keyId }) => keyId));
  const found = findSecretKey({ dataDir, given, keyIdsInUse });
  if (found.kind === "missing") logger.error(found.problem);
  else {
    const others = [...keyIdsInUse].filter((keyId) => keyId !== found.key.keyId);
    if (others.length > 0) {
      logger.error(
        `there are secrets under the key ${others.join(", ")}, and this server has ` +
          `${found.key.keyId}: what needs them fails until it is started with that key`,
      );
    }
  }
  return found;
}

/** The key in a file, made the first time. */
function keyIn(path: string): Uint8Array {
  if (!existsSync(path)) writeFileSync(path, randomBytes(KEY_BYTES), { mode: 0o600, flag: "wx" });
  return readFileSync(path);
}
