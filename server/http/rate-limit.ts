/**
 * How many requests a token may send: each server counts those that it answers itself.
 *
 * Counted after the token is known and before a body is read. Streams and node agents' links
 * count once, when they open.
 */
import rateLimit from "@fastify/rate-limit";
import type { FastifyInstance } from "fastify";
import { PlatformError } from "../../core/index.ts";

/** Requests a second of one token, unless the operator says otherwise. */
export const REQUESTS_PER_SECOND = 2_000;
const WINDOW_MS = 1_000;
/** Tokens that are counted at once; of more, the ones not heard of for longest are forgotten. */
const TOKENS_MAX = 10_000;

/**
 * Refuses what a token sends beyond its limit with 429 `rate_limited` and `Retry-After`.
 *
 * @param perSecond Requests of one token in each second, a whole number >= 1.
 */
export function limitRate(app: FastifyInstance, perSecond: number): void {
  app.register(rateLimit, {
    max: perSecond,
    timeWindow: WINDOW_MS,
    cache: TOKENS_MAX,
    hook: "preParsing",
    keyGenerator: (request) => request.principal?.tokenId ?? request.ip,
    addHeadersOnExceeding: withoutHeaders,
    addHeaders: { ...withoutHeaders, "retry-after": true },
    errorResponseBuilder: () =>
      new PlatformError(
        `this token may send ${perSecond} requests a second; try again after \`Retry-After\``,
        { code: "rate_limited", retryable: true },
      ),
  });
}

/** What is left of a second tells a client nothing that it can use. */
const withoutHeaders = {
  "x-ratelimit-limit": false,
  "x-ratelimit-remaining": false,
  "x-ratelimit-reset": false,
};
