/** Where Redis is and how to connect to it. */
import { Redis, type RedisOptions } from "ioredis";

/** A unix socket of this machine, or the URL of a Redis elsewhere. */
export type RedisEndpoint = { readonly path: string } | { readonly url: string };

const RETRY_MS_MAX = 1_000;

/**
 * A connection that comes back by itself: after a loss it tries again at 50 ms, 100 ms, … up
 * to once a second. Commands wait for it unless `overrides` say otherwise
 * (`maxRetriesPerRequest: null` is what BullMQ needs and the default here).
 *
 * @param name Shown by `CLIENT LIST`.
 * @param onError Told about each failed connection; without it trouble would end the process.
 */
export function connectRedis(
  endpoint: RedisEndpoint,
  name: string,
  onError: (error: Error) => void,
  overrides: RedisOptions = {},
): Redis {
  const options: RedisOptions = {
    connectionName: `flotilla-${name}`,
    maxRetriesPerRequest: null,
    retryStrategy: (attempt) => Math.min(50 * 2 ** Math.min(attempt - 1, 10), RETRY_MS_MAX),
    ...overrides,
  };
  const redis =
    "path" in endpoint
      ? new Redis({ ...options, path: endpoint.path })
      : new Redis(endpoint.url, options);
  redis.on("error", onError);
  return redis;
}

/** The endpoint as it may be shown: no user name, no password. */
export function describeEndpoint(endpoint: RedisEndpoint): string {
  if ("path" in endpoint) return endpoint.path;
  const url = URL.parse(endpoint.url);
  return url === null ? "(not a URL)" : `${url.protocol}//${url.host}${url.pathname}`;
}
