/** Small pieces over node:http. */
import type { IncomingMessage, ServerResponse } from "node:http";

/** Largest request body that is kept, in bytes. */
const BODY_BYTES_MAX = 1_048_576;

/** A whole answer. */
export interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

/** The whole body as text; undefined when it is larger than the emulator keeps. */
export async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes <= BODY_BYTES_MAX) chunks.push(chunk);
  }
  return bytes > BODY_BYTES_MAX ? undefined : Buffer.concat(chunks).toString("utf8");
}

/** One header as text; empty when absent. */
export function headerOf(request: IncomingMessage, name: string): string {
  const value = request.headers[name];
  return Array.isArray(value) ? value.join(", ") : (value ?? "");
}

/** Sends an answer; harmless when the client has gone. */
export function send(
  response: ServerResponse,
  { status, contentType, body }: Answer,
  headers: Readonly<Record<string, string>> = {},
): void {
  const length = String(Buffer.byteLength(body));
  response.writeHead(status, {
    ...headers,
    "content-type": contentType,
    "content-length": length,
  });
  response.end(body);
}
