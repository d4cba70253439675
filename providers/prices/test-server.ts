/** A server on this machine that answers what a test says, for readers of price lists. */
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import type { Clock } from "../../core/index.ts";

/** What is answered to one request; absent headers are none. */
export interface TestAnswer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** `hang`: never answer. `cut`: end in the middle of the body. */
  readonly fault?: "hang" | "cut";
}

export interface TestServer {
  readonly url: string;
  /** What was asked for, in order, as path and query. */
  readonly asked: readonly string[];
  /** Headers of the last request. */
  readonly headers: () => IncomingMessage["headers"];
  close(): Promise<void>;
}

/** Starts a server; `answer` is given path and query, and how often they were asked for before. */
export async function startTestServer(
  answer: (url: URL, earlierCount: number) => TestAnswer,
): Promise<TestServer> {
  const asked: string[] = [];
  let headers: IncomingMessage["headers"] = {};
  const server = createServer((request, response) => {
    const path = request.url ?? "/";
    const earlierCount = asked.filter((one) => one === path).length;
    asked.push(path);
    headers = request.headers;
    const {
      status = 200,
      body = "",
      fault,
      ...rest
    } = answer(new URL(path, "http://x"), earlierCount);
    if (fault === "hang") return;
    response.writeHead(status, rest.headers);
    if (fault !== "cut") {
      response.end(body);
      return;
    }
    response.write(body, () => response.destroy());
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    asked,
    headers: () => headers,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** A clock whose pauses are over at once and noted, and whose deadlines never come. */
export function createHastyClock(nowMs: number): Clock & { readonly pausesMs: readonly number[] } {
  const pausesMs: number[] = [];
  return {
    pausesMs,
    nowMs: () => nowMs,
    sleep: (durationMs, signal) => {
      if (signal !== undefined) {
        return new Promise((resolve) => {
          signal.addEventListener("abort", () => resolve(), { once: true });
        });
      }
      pausesMs.push(durationMs);
      return Promise.resolve();
    },
  };
}
