/** Requests to an HTTP server inside the container, WebSockets included. */
import type { ClientRequest, IncomingMessage } from "node:http";
import { Readable, type Duplex } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { PieceStream } from "../../../streams/piece-stream.ts";
import type { HeaderPairs } from "../../../streams/piece.ts";
import type { WebRequest, WebResult } from "../../web-message.ts";
import { SERVER_HOST } from "./server-start.ts";
import type { Head, WebAnswer } from "./web-answer.ts";

/**
 * Sends a request to the server on a port and its response to the client.
 *
 * @throws Error when the server cannot be reached or breaks off.
 */
export async function forward(
  sent: WebRequest & { readonly port: number },
  stream: PieceStream,
  answer: WebAnswer,
): Promise<WebResult> {
  const outgoing = requestTo(sent);
  const { isTunnel = false, port } = sent;
  const leave = (): void => void outgoing.destroy();
  stream.once("close", leave);
  try {
    const answered = answerOf(outgoing);
    // A server may answer before it has read everything: its response goes on then.
    if (sent.streamsBody === true) stream.pipe(outgoing);
    else outgoing.end(sent.body);
    const { response, socket, rest } = await answered;
    const head = headOf(response);
    if (socket === undefined) {
      if (sent.upgrades === true) stream.resume();
      return await answer.send(head, bodyOf(response, sent.method));
    }
    return await tunnel({ stream, socket, rest, head, answer });
  } catch (error) {
    if (!isTunnel || !isRefused(error)) throw error;
    stream.resume();
    return await answer.send(BAD_GATEWAY, Readable.from([`nothing listens on port ${port}\n`]));
  } finally {
    stream.off("close", leave);
  }
}

/** What is told of a port where nothing listens. */
const BAD_GATEWAY: Head = {
  status: 502,
  headers: [["content-type", "text/plain; charset=utf-8"]],
};

function isRefused(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ECONNREFUSED";
}

interface Answered {
  readonly response: IncomingMessage;
  /** Present when the server has taken the other protocol. */
  readonly socket?: Duplex;
  readonly rest: Uint8Array;
}

function requestTo({ port, method, url, headers }: WebRequest & { port: number }): ClientRequest {
  const { pathname, search } = new URL(url);
  // Loaded here, and not as a module: that looks at all its exports, and so loads `WebSocket` and
  // what that needs, for longer than all else of a runner's start.
  const { request } = process.getBuiltinModule("node:http");
  return request({
    host: SERVER_HOST,
    port,
    method,
    path: pathname + search,
    headers: headers.flatMap(([name, value]) => [name, value]),
    setHost: false,
    agent: false,
  });
}

async function answerOf(outgoing: ClientRequest): Promise<Answered> {
  return new Promise((resolve, reject) => {
    outgoing.once("response", (response) => resolve({ response, rest: new Uint8Array(0) }));
    outgoing.once("upgrade", (response, socket, rest) => resolve({ response, socket, rest }));
    // Also errors after the response, which has its own.
    outgoing.on("error", reject);
  });
}

function headOf({ statusCode = 502, rawHeaders }: IncomingMessage): Head {
  const headers: [string, string][] = [];
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    headers.push([rawHeaders[index] ?? "", rawHeaders[index + 1] ?? ""]);
  }
  return { status: statusCode, headers: headers satisfies HeaderPairs };
}

function bodyOf(response: IncomingMessage, method: string): Readable | undefined {
  if (method !== "HEAD") return response;
  response.resume();
  return undefined;
}

interface Tunnel {
  readonly stream: PieceStream;
  readonly socket: Duplex;
  readonly rest: Uint8Array;
  readonly head: Head;
  readonly answer: WebAnswer;
}

/** Bytes both ways until both sides have ended. */
async function tunnel({ stream, socket, rest, head, answer }: Tunnel): Promise<WebResult> {
  if (!answer.begin(head)) {
    socket.destroy();
    throw new Error("the server took longer to open the connection than its client waits");
  }
  if (rest.byteLength > 0) socket.unshift(rest);

  await Promise.all([pipeline(stream, socket), pipeline(socket, stream)]);
  return head;
}
