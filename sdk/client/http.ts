/**
 * One HTTP exchange over connections that are kept.
 *
 * Over `node:http` (Node, Bun and Deno have it) and not `fetch`, whose streams cost a third of
 * a millisecond a request: a good part of a warm call. Loaded at the first request, so that
 * importing the SDK stays cheap.
 */
import type { Agent, ClientRequest, IncomingMessage, RequestOptions } from "node:http";

import { GatheredBytes, giveBack } from "../protocol/gathered-bytes.ts";

/** What to send. */
export interface HttpRequest {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string | undefined;
  /** Where the body of the answer may be put, if it is just as many bytes. */
  readonly place?: Uint8Array | undefined;
  /** Aborts the exchange, the reading of the answer included. */
  readonly signal?: AbortSignal | undefined;
}

/** An answer whose head has arrived. Its body is to be read once, by `bytes` or `stream`. */
export interface HttpAnswer {
  readonly status: number;
  /** A header's value by its lower-case name. */
  header(name: string): string | undefined;
  bytes(): Promise<Uint8Array>;
  stream(): AsyncIterable<Uint8Array>;
}

/** Sends one request. @throws the system's error when the connection fails, or the signal's. */
export async function exchange(url: string, request: HttpRequest): Promise<HttpAnswer> {
  const { method, headers, body, signal } = request;
  signal?.throwIfAborted();
  const { open, agent } = await protocolOf(url);
  const sized = body === undefined ? {} : { "content-length": String(sizeOf(body)) };
  const options = { method, agent, headers: { ...headers, ...sized } };
  const sending = open(url, signal === undefined ? options : { ...options, signal });
  return new Promise((resolve, reject) => {
    sending.once("error", reject);
    sending.once("response", (message) => resolve(answerOf(message, request.place)));
    sending.end(body);
  });
}

interface Protocol {
  readonly open: (url: string, options: RequestOptions) => ClientRequest;
  readonly agent: Agent;
}

const protocols = new Map<string, Promise<Protocol>>();

/** Idle connections do not keep the process alive. */
function protocolOf(url: string): Promise<Protocol> {
  const scheme = url.startsWith("https:") ? "https" : "http";
  const known = protocols.get(scheme);
  if (known !== undefined) return known;
  const loading = scheme === "https" ? import("node:https") : import("node:http");
  const protocol = loading.then(({ request, Agent }) => ({
    open: request,
    agent: new Agent({ keepAlive: true }),
  }));
  protocols.set(scheme, protocol);
  return protocol;
}

function sizeOf(body: Uint8Array | string): number {
  return typeof body === "string" ? new TextEncoder().encode(body).byteLength : body.byteLength;
}

function answerOf(message: IncomingMessage, place: Uint8Array | undefined): HttpAnswer {
  return {
    status: message.statusCode ?? 0,
    header: (name) => {
      const value = message.headers[name];
      return Array.isArray(value) ? value.join(", ") : value;
    },
    bytes: () => bytesOf(message, place),
    stream: () => message as AsyncIterable<Uint8Array>,
  };
}

function bytesOf(message: IncomingMessage, place: Uint8Array | undefined): Promise<Uint8Array> {
  const expectedBytes = Number(message.headers["content-length"] ?? 0);
  const isFound = message.statusCode === 200;
  const gathered = new GatheredBytes(expectedBytes, isFound ? place : undefined);
  return new Promise((resolve, reject) => {
    message.on("data", (chunk: Uint8Array) => {
      gathered.add(chunk);
      giveBack(chunk);
    });
    message.once("error", reject);
    message.once("close", () => {
      if (message.complete) resolve(gathered.take());
      else reject(new Error("the answer was cut off"));
    });
  });
}
