/** Writes what came of a request to its client, on an HTTP response or on a bare connection. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { Transform, type Duplex } from "node:stream";
import { pipeline } from "node:stream/promises";
import { pieceOf, type PieceStream, type WebResult } from "../../sandbox/index.ts";
import { decodeValue } from "../../sdk/protocol/index.ts";
import { PROBLEM_MEDIA_TYPE, problemOf } from "../http/problem.ts";
import { failureOf, lostError } from "./failures.ts";
import { CALL_HEADER, responseHeaders } from "./headers.ts";
import type { Opening } from "./exchange.ts";
import type { Recorded } from "./waiting.ts";
import { MethodRefusedError, REQUEST_BYTES_MAX, tooLarge } from "./web-request.ts";

type Head = Pick<Extract<Opening, { kind: "head" }>, "status" | "headers">;

/** A response is final from 200 on. */
const FINAL_STATUS_MIN = 200;
const SWITCHING_PROTOCOLS = 101;
/** What of a refused request is read so that its connection can be kept. */
const UNREAD_BYTES_MAX = 64 * 1024;

/** Writes the head of a response. @throws RefusedError 502 when it is none. */
export function writeHead(response: ServerResponse, head: Head, callId: string): void {
  if (head.status < FINAL_STATUS_MIN) throw lostError(`status ${head.status}`, callId);
  try {
    response.strictContentLength = response.req.method !== "HEAD";
    response.writeHead(head.status, responseHeaders(head.headers, callId).flat());
  } catch {
    // What a function names its headers is its own affair, until no client can read them.
    throw lostError("the response has headers that are not HTTP", callId);
  }
  response.flushHeaders();
}

/** Sends the body as it comes. @throws Error when either side breaks off */
export async function writeBody(response: ServerResponse, stream: PieceStream): Promise<void> {
  await pipeline(stream, response);
}

/**
 * Sends the body of a request to its container; what nobody wants is read and dropped, so that
 * the response can still be sent.
 *
 * @throws RefusedError 413, and Error when the stream ends before the body
 */
export async function sendBody(request: IncomingMessage, stream: PieceStream): Promise<void> {
  let bytes = 0;
  const counted = new Transform({
    transform(chunk: Uint8Array, _encoding, done) {
      bytes += chunk.byteLength;
      if (bytes > REQUEST_BYTES_MAX) done(tooLarge());
      else done(null, chunk);
    },
  });
  try {
    await new Promise<void>((resolve, reject) => {
      stream.once("finish", resolve);
      stream.once("close", () => reject(new Error("the function wants no more")));
      counted.once("error", reject);
      request.pipe(counted).pipe(stream);
    });
  } finally {
    request.unpipe(counted);
    request.resume();
  }
}

/** Answers with the problem that was thrown; breaks off when an answer has begun. */
export function writeProblem(response: ServerResponse, thrown: unknown, requestId: string): void {
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const problem = problemOf(thrown, requestId);
  const body = Buffer.from(JSON.stringify(problem));
  response.setHeader("content-type", PROBLEM_MEDIA_TYPE);
  response.setHeader("content-length", body.byteLength);
  if (problem.status === 401) response.setHeader("www-authenticate", "Bearer");
  if (problem.retryable) response.setHeader("retry-after", 1);
  if (thrown instanceof MethodRefusedError) response.setHeader("allow", thrown.allowed);
  // The rest of a large body would have to be read before the next request.
  if (isLarge(response.req)) response.setHeader("connection", "close");
  response.writeHead(problem.status);
  response.end(response.req.method === "HEAD" ? undefined : body);
}

function isLarge({ complete, headers }: IncomingMessage): boolean {
  if (complete) return false;
  const length = headers["content-length"];
  return length === undefined || Number(length) > UNREAD_BYTES_MAX;
}

/** Where the result of a late request is asked for. */
export const RESULTS_PATH = "/web-results";

/** Sends a client to the result that its request will have. */
export function redirectToResult(response: ServerResponse, callId: string): void {
  if (response.destroyed) return;
  const headers = { location: `${RESULTS_PATH}/${callId}`, [CALL_HEADER]: callId };
  response.writeHead(303, { ...headers, "cache-control": "no-store", "content-length": 0 });
  response.end();
}

/** Answers with a recorded result. @throws RefusedError for a failure, and without a response */
export function writeResult(
  response: ServerResponse,
  { item, payload }: Recorded,
  callId: string,
): void {
  if (item.outcome === "cancelled") throw failureOf({ ...CANCELLED, ...item.error }, callId);
  if (item.outcome === "failed") throw failureOf(item.error, callId);
  const result = resultOf(payload);
  if (result === undefined) throw lostError("no response was kept", callId);
  writeHead(response, result, callId);
  response.end(response.req.method === "HEAD" ? undefined : result.body);
}

const CANCELLED = { name: "CancelledError", message: "", code: "cancelled" } as const;

/** The response that a payload is; undefined when its body went to the client. */
function resultOf(payload: Uint8Array): Required<WebResult> | undefined {
  const value = decodeValue(payload);
  if (typeof value !== "object" || value === null || !("body" in value)) return undefined;
  const piece = pieceOf({ ...value, kind: "head" });
  if (piece?.kind !== "head" || !(value.body instanceof Uint8Array)) return undefined;
  return { status: piece.status, headers: piece.headers, body: value.body };
}

/** Goes on with a client that asked for another protocol, or tells it what it gets instead. */
export async function answerUpgrade(
  socket: Duplex,
  rest: Uint8Array,
  { head, callId, stream }: { head: Head; callId: string; stream: PieceStream },
): Promise<void> {
  const isSwitched = head.status === SWITCHING_PROTOCOLS;
  const sent = isSwitched ? head.headers : responseHeaders(head.headers, callId);
  const headers = isSwitched ? sent : [...sent, ["connection", "close"] as const];
  const lines = headers.map(([name, value]) => `${name}: ${value}`);
  if (lines.some((line) => /[\r\n\0]/.test(line))) throw lostError("headers", callId);
  socket.write(`HTTP/1.1 ${head.status} \r\n${[...lines, "", ""].join("\r\n")}`, "latin1");
  if (!isSwitched) {
    await pipeline(stream, socket);
    return;
  }
  if (rest.byteLength > 0) socket.unshift(rest);
  await Promise.all([pipeline(socket, stream), pipeline(stream, socket)]);
}
