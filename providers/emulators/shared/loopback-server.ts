/** An HTTP server on the loopback interface, as every emulator is one. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { emitWarning } from "node:process";

/** A whole request. */
export interface WholeRequest {
  readonly method: string;
  readonly url: URL;
  readonly body: string;
  /** One header as text; empty when absent. */
  readonly header: (name: string) => string;
}

/** A whole answer. */
export interface WholeAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** What becomes of a request instead of an answer. */
export type NoAnswer = "hang" | "reset";

/** Answers a request; a rejection is a bug, which is shown and answered with 500. */
export type RequestHandler = (
  request: WholeRequest,
) => WholeAnswer | NoAnswer | Promise<WholeAnswer | NoAnswer>;

export interface LoopbackServer {
  /** Such as `http://127.0.0.1:40123`. */
  readonly endpoint: string;
  /** Cuts every connection; resolves when the port is free. */
  close(): Promise<void>;
}

/** Largest request body that is read, in bytes. */
const BODY_BYTES_MAX = 4 * 1_048_576;

/** Starts to listen. @param port 0 picks a free one. Rejects when it is taken. */
export async function startLoopbackServer(
  port: number,
  handle: RequestHandler,
): Promise<LoopbackServer> {
  const server = createServer((request, response) => {
    serve(request, response, handle).catch((error: unknown) => {
      // A client that goes away in the middle of its request is no bug.
      if (!request.complete) return;
      emitWarning(error instanceof Error ? error : String(error));
      reply(response, plainText(500, "the emulator has a bug; its stack is on its standard error"));
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
  // A server that listens on a port has an address of this form.
  const address = server.address() as AddressInfo;
  return {
    endpoint: `http://127.0.0.1:${address.port}`,
    close: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

/** An answer with a JSON document. */
export function jsonAnswer(status: number, value: unknown): WholeAnswer {
  const headers = { "content-type": "application/json; charset=UTF-8" };
  return { status, headers, body: `${JSON.stringify(value)}\n` };
}

/** An answer with one line of text. */
export function plainText(status: number, line: string): WholeAnswer {
  return { status, headers: { "content-type": "text/plain" }, body: `${line}\n` };
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  handle: RequestHandler,
): Promise<void> {
  const chunks: Buffer[] = [];
  let byteCount = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    byteCount += chunk.length;
    if (byteCount <= BODY_BYTES_MAX) chunks.push(chunk);
  }
  if (byteCount > BODY_BYTES_MAX) {
    reply(response, plainText(413, `the body is larger than ${BODY_BYTES_MAX} bytes`));
    return;
  }
  const url = URL.parse(request.url ?? "/", "http://127.0.0.1");
  if (url === null) {
    reply(response, plainText(400, "the request's URL cannot be read"));
    return;
  }
  const answer = await handle({
    method: request.method ?? "",
    url,
    body: Buffer.concat(chunks).toString("utf8"),
    header: (name) => [request.headers[name] ?? []].flat().join(", "),
  });
  if (answer === "reset") request.socket.resetAndDestroy();
  else if (answer !== "hang") reply(response, answer);
}

/** Harmless when the client has gone. */
function reply(response: ServerResponse, { status, headers, body }: WholeAnswer): void {
  if (response.headersSent) return;
  const length = String(Buffer.byteLength(body));
  response.writeHead(status, { ...headers, "content-length": length }).end(body);
}
