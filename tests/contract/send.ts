/** Sends requests byte for byte, which `fetch` would first put in order. */
import { Agent, request } from "node:http";
import type { MalformedRequest } from "./malformed-requests.ts";

export interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly retryAfter: string | undefined;
  /** Empty for streams, which are left after their first bytes. */
  readonly text: string;
}

/** Longer than any request may wait for results. */
const ANSWER_MS_MAX = 90_000;

/** A client of one server that keeps its connections. */
export class RawClient {
  readonly #agent: Agent;
  readonly #url: URL;

  constructor(serverUrl: string, connectionCount: number) {
    this.#agent = new Agent({ keepAlive: true, maxSockets: connectionCount });
    this.#url = new URL(serverUrl);
  }

  /** @throws Error when the connection breaks or no answer comes. */
  async send({ method, path, headers, body }: MalformedRequest): Promise<Answer> {
    const { hostname, port } = this.#url;
    return new Promise((resolve, reject) => {
      const length = body === undefined ? {} : { "content-length": String(body.length) };
      const sent = request(
        { agent: this.#agent, hostname, port, method, path, headers: { ...headers, ...length } },
        (response) => {
          const { "content-type": contentType = "", "retry-after": retryAfter } = response.headers;
          const facts = { status: response.statusCode ?? 0, contentType, retryAfter };
          if (contentType.startsWith("text/event-stream")) {
            response.destroy();
            resolve({ ...facts, text: "" });
            return;
          }
          const parts: Buffer[] = [];
          response.on("data", (part: Buffer) => parts.push(part));
          response.once("end", () =>
            resolve({ ...facts, text: Buffer.concat(parts).toString("utf8") }),
          );
          response.once("error", reject);
        },
      );
      sent.setTimeout(ANSWER_MS_MAX, () => {
        sent.destroy(new Error(`no answer came to ${method} ${path.slice(0, 300)}`));
      });
      sent.once("error", reject);
      sent.end(body);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}
