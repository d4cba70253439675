/**
 * HTTP for registries: every connection is judged when it is made, redirects are followed one at
 * a time, answers that may get better are asked for again, and nothing is waited for without end.
 */
import { request as requestPlain, type IncomingMessage } from "node:http";
import { request as requestTls } from "node:https";
import { connect as connectTls } from "node:tls";
import type { Duplex } from "node:stream";
import { messageOf, PlatformError, type Clock } from "../../../core/index.ts";
import { openTunnel } from "../build/build-proxy.ts";
import type { HostIndexes } from "../build/host-indexes.ts";
import { awayError, wrongImage } from "./image-error.ts";

export interface OutwardHttp {
  readonly network: Pick<HostIndexes, "httpProxy" | "httpsProxy" | "noProxy" | "trusted">;
  readonly clock: Pick<Clock, "sleep">;
  /** Certificates to trust beside Node's own, in PEM. */
  readonly certificates?: Uint8Array | undefined;
}

export interface OutwardRequest {
  readonly method: "GET" | "HEAD";
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

/** An answer whose body has not been read. */
export interface OutwardAnswer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: IncomingMessage;
}

const REDIRECTS_MAX = 5;
export const ATTEMPTS_MAX = 5;
const PAUSE_MS = 250;
const PAUSE_MS_MAX = 20_000;
/** A connection without a byte for this long is given up. */
const SILENT_MS_MAX = 30_000;

/** Asks, and follows redirects; what was for one host is told to no other. @throws PlatformError */
export async function ask(http: OutwardHttp, asked: OutwardRequest): Promise<OutwardAnswer> {
  let { url, headers } = asked;
  for (let hop = 0; hop <= REDIRECTS_MAX; hop += 1) {
    const answer = await askOnce(http, { ...asked, url, headers });
    const { location } = answer.headers;
    if (answer.status < 300 || answer.status >= 400 || location === undefined) return answer;
    answer.body.resume();
    const next = new URL(location, url);
    if (next.protocol !== "https:" && next.protocol !== new URL(url).protocol) {
      throw wrongImage(
        `${new URL(url).host} redirects to ${next.protocol}//, which is not followed`,
      );
    }
    if (next.host !== new URL(url).host) headers = withoutCredentials(headers);
    url = next.href;
  }
  throw wrongImage(`${asked.url} redirects without end`);
}

/**
 * Does `attempt` again while it fails in a way that may pass: up to `ATTEMPTS_MAX` times, after
 * pauses that double, or as long as the server asks for (`retryAfterMs` in the details).
 */
export async function retried<T>(
  clock: Pick<Clock, "sleep">,
  signal: AbortSignal,
  attempt: () => Promise<T>,
): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await attempt();
    } catch (error) {
      signal.throwIfAborted();
      const mayPass = error instanceof PlatformError && error.retryable;
      if (!mayPass || tries >= ATTEMPTS_MAX) throw error;
      const asked = error.details["retryAfterMs"];
      const pauseMs = typeof asked === "number" ? asked : PAUSE_MS * 2 ** (tries - 1);
      await clock.sleep(Math.min(pauseMs, PAUSE_MS_MAX), signal);
      signal.throwIfAborted();
    }
  }
}

/** The body in memory. @throws PlatformError `invalid_request` when it is larger than that */
export async function readBody(body: IncomingMessage, byteCountMax: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let byteCount = 0;
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      byteCount += chunk.length;
      if (byteCount > byteCountMax) {
        throw wrongImage(`the registry's answer has more than ${byteCountMax} bytes`);
      }
      chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof PlatformError) throw error;
    throw awayError(`the registry's answer broke off: ${messageOf(error)}`, error);
  }
  return Buffer.concat(chunks);
}

function withoutCredentials(
  headers: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => name.toLowerCase() !== "authorization"),
  );
}

async function askOnce(http: OutwardHttp, asked: OutwardRequest): Promise<OutwardAnswer> {
  const url = new URL(asked.url);
  if (url.protocol !== "https:" && url.protocol !== "http:") {
    throw wrongImage(`${url.protocol}// is not followed`);
  }
  const isTls = url.protocol === "https:";
  const port = url.port === "" ? (isTls ? 443 : 80) : Number(url.port);
  const bare = await openTunnel(url.hostname, port, http.network);
  const socket = isTls ? secured(bare, url.hostname, http.certificates) : bare;
  try {
    return await exchange(asked, url, socket);
  } catch (error) {
    socket.destroy();
    asked.signal.throwIfAborted();
    throw awayError(`${url.host} did not answer: ${messageOf(error)}`, error);
  }
}

function secured(socket: Duplex, hostname: string, certificates: Uint8Array | undefined): Duplex {
  const servername = hostname.replace(/^\[|\]$/g, "");
  const ca = certificates === undefined ? {} : { ca: Buffer.from(certificates) };
  return connectTls({ socket, servername, ...ca });
}

function exchange(asked: OutwardRequest, url: URL, socket: Duplex): Promise<OutwardAnswer> {
  const { method, headers, signal } = asked;
  const request = url.protocol === "https:" ? requestTls : requestPlain;
  return new Promise((resolve, reject) => {
    const sent = request({
      method,
      path: `${url.pathname}${url.search}`,
      headers: { host: url.host, "user-agent": "flotilla", ...headers, connection: "close" },
      createConnection: () => socket,
      signal,
    });
    sent.setTimeout(SILENT_MS_MAX, () => sent.destroy(new Error("silence for too long")));
    sent.once("response", (body) => {
      resolve({ status: body.statusCode ?? 0, headers: body.headers, body });
    });
    sent.once("error", reject);
    sent.end();
  });
}
