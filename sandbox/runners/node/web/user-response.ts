/** Between the web's `Request` and `Response`, which the user's code sees, and streams. */
import { PassThrough, Readable } from "node:stream";
import type { ReadableStream } from "node:stream/web";
import type { PieceStream } from "../../../streams/piece-stream.ts";
import type { WebRequest } from "../../web-message.ts";
import type { Head } from "./web-answer.ts";

const METHODS_WITHOUT_BODY: ReadonlySet<string> = new Set(["GET", "HEAD"]);
const STATUSES_WITHOUT_BODY: ReadonlySet<number> = new Set([204, 205, 304]);

/** The `Request` that the user's code gets; its signal aborts when the client goes. */
export function requestOf(
  { method, url, headers, body, streamsBody = false }: WebRequest,
  stream: PieceStream,
  signal: AbortSignal,
): Request {
  const init = { method, headers: headers.map(([name, value]): [string, string] => [name, value]) };
  const hasBody = !METHODS_WITHOUT_BODY.has(method);
  if (!hasBody || (body === undefined && !streamsBody))
    return new Request(url, { ...init, signal });
  const content = body === undefined ? readingOf(stream) : Buffer.from(body);
  // Node's types know one kind of web stream in two places.
  const given = content as NonNullable<RequestInit["body"]>;
  return new Request(url, { ...init, signal, body: given, duplex: "half" });
}

/** What comes over the stream; code that gives it up does not give up its own response. */
function readingOf(stream: PieceStream): ReadableStream {
  const reading = new PassThrough();
  stream.once("error", (error) => reading.destroy(error));
  return Readable.toWeb(stream.pipe(reading));
}

/** A response as it is sent. */
export interface UserResponse {
  readonly head: Head;
  readonly body: Readable | undefined;
}

/**
 * What the user's code gave, as a response: a `Response` as it is, a text as plain text, bytes as
 * they are, nothing as 204, and any other value as JSON.
 *
 * @throws TypeError for what is none of these.
 */
export async function responseOf(value: unknown, method: string): Promise<UserResponse> {
  const response = value instanceof Response ? value : plainResponse(value);
  const { status, headers, body } = response;
  if (status === 0) throw new TypeError("the function gave Response.error()");
  const head = { status, headers: [...headers].map(([name, text]) => [name, text] as const) };
  if (method !== "HEAD" && !STATUSES_WITHOUT_BODY.has(status) && body !== null) {
    return { head, body: Readable.fromWeb(body as ReadableStream<Uint8Array>) };
  }
  // What nobody will read need not be made.
  if (body !== null && !response.bodyUsed) await body.cancel();
  return { head, body: undefined };
}

function plainResponse(value: unknown): Response {
  if (value === undefined || value === null) return new Response(null, { status: 204 });
  if (typeof value === "string") return withLength(Buffer.from(value), "text/plain;charset=UTF-8");
  if (value instanceof Uint8Array) return withLength(value, "application/octet-stream");
  if (value instanceof ArrayBuffer) {
    return withLength(new Uint8Array(value), "application/octet-stream");
  }
  if (isIterator(value)) {
    throw new TypeError(
      "a web endpoint cannot give a generator: give `new Response(ReadableStream.from(…))`",
    );
  }
  const json = jsonOf(value);
  if (json !== undefined) return withLength(Buffer.from(json), "application/json");
  throw new TypeError(`a web endpoint cannot give a ${typeof value}: give a Response or a value`);
}

/** @throws TypeError for values that JSON does not have. */
function jsonOf(value: unknown): string | undefined {
  return JSON.stringify(value);
}

function isIterator(value: unknown): boolean {
  return typeof value === "object" && value !== null && "next" in value && !Array.isArray(value)
    ? typeof value.next === "function"
    : false;
}

function withLength(bytes: Uint8Array, type: string): Response {
  const headers = { "content-type": type, "content-length": String(bytes.byteLength) };
  return new Response(Buffer.from(bytes), { headers });
}
