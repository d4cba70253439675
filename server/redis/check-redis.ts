/** Whether a Redis can carry queues without losing them. */
import { messageOf, PlatformError } from "../../core/index.ts";
import { connectRedis, describeEndpoint, type RedisEndpoint } from "./endpoint.ts";

/** Exclusive stream ranges (`XRANGE (id`) came with this version. */
const REDIS_VERSION_MIN = [6, 2] as const;
const CONNECT_TIMEOUT_MS = 10_000;

/**
 * Holds that Redis answers, is new enough and never evicts keys.
 *
 * @throws PlatformError `unavailable` (retryable) when it does not answer, `invalid_request`
 *   when it is too old or its `maxmemory-policy` is not `noeviction`; says what to change.
 *   Cost: one connection, two commands.
 */
export async function checkRedis(endpoint: RedisEndpoint): Promise<void> {
  const where = describeEndpoint(endpoint);
  const info = await readInfo(endpoint, where);
  const version = fieldOf(info, "redis_version") ?? "0";
  if (!isNewEnough(version)) {
    throw refusal(`Redis at ${where} is version ${version}; 6.2 or newer is needed`);
  }
  const policy = fieldOf(info, "maxmemory_policy");
  if (policy !== "noeviction") {
    throw refusal(
      `Redis at ${where} may evict queued calls: its maxmemory-policy is ${policy ?? "unknown"}. ` +
        "Run `CONFIG SET maxmemory-policy noeviction` (and set it in redis.conf)",
    );
  }
}

async function readInfo(endpoint: RedisEndpoint, where: string): Promise<string> {
  let lastError: Error | undefined;
  const redis = connectRedis(endpoint, "check", (error) => (lastError = error), {
    lazyConnect: true,
    connectTimeout: CONNECT_TIMEOUT_MS,
    commandTimeout: CONNECT_TIMEOUT_MS,
    retryStrategy: () => null,
  });
  try {
    await redis.connect();
    const [server, memory] = await Promise.all([redis.info("server"), redis.info("memory")]);
    return `${server}\n${memory}`;
  } catch (error) {
    const why = messageOf(lastError ?? error);
    throw new PlatformError(`Redis at ${where} does not answer: ${why}`, {
      code: "unavailable",
      retryable: true,
      cause: error,
    });
  } finally {
    redis.disconnect();
  }
}

function fieldOf(info: string, name: string): string | undefined {
  const line = info.split(/\r?\n/).find((each) => each.startsWith(`${name}:`));
  return line?.slice(name.length + 1);
}

function isNewEnough(version: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const [majorMin, minorMin] = REDIS_VERSION_MIN;
  return major > majorMin || (major === majorMin && minor >= minorMin);
}

function refusal(message: string): PlatformError {
  return new PlatformError(message, { code: "invalid_request", retryable: false });
}
