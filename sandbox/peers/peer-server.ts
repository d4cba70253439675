/**
 * Gives the chunks on this machine's disk to other nodes of the platform, and to nobody else.
 *
 * A chunk is asked for by its hash, with a ticket of the server's. What it says is not verified
 * here: who asks does so. It is bounded in everything: connections, answers at once, the time of
 * each, the bytes of a request.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { isIPv6 } from "node:net";
import { messageOf, PlatformError, type Clock } from "../../core/index.ts";
import type { RemoteChunks } from "../store/index.ts";
import { isPeerTicket } from "./peer-ticket.ts";

export interface PeerServerOptions {
  /** 0 takes any that is free. */
  readonly port: number;
  /** The address it listens on; all unless given. */
  readonly host?: string;
  /** Where chunks are looked for, in this order. */
  readonly stores: readonly RemoteChunks[];
  readonly clock: Pick<Clock, "nowMs">;
  readonly onError: (error: unknown, doing: string) => void;
}

/** The whole of a request's path: nothing in it is read in any other way. */
const PATH = /^\/v1\/chunks\/([0-9a-f]{64})$/;
const CONNECTIONS_MAX = 128;
/** Answers at once; each may hold 4 MiB of memory. */
const ANSWERS_MAX = 32;
const ANSWER_MS_MAX = 10_000;
const HEAD_MS_MAX = 5_000;
const HEAD_BYTES_MAX = 4_096;

export class PeerServer {
  readonly #options: PeerServerOptions;
  readonly #http: Server;
  #key: string | undefined;
  #answering = 0;

  private constructor(options: PeerServerOptions) {
    this.#options = options;
    this.#http = createServer(
      { maxHeaderSize: HEAD_BYTES_MAX, headersTimeout: HEAD_MS_MAX, requestTimeout: HEAD_MS_MAX },
      (request, response) => this.#receive(request, response),
    );
    this.#http.maxConnections = CONNECTIONS_MAX;
  }

  /** Listens; nobody is let in before `admit`. @throws PlatformError `unavailable` */
  static async open(options: PeerServerOptions): Promise<PeerServer> {
    const { port, host } = options;
    const server = new PeerServer(options);
    await new Promise<void>((resolve, reject) => {
      server.#http.once("error", (cause) => {
        const message = `cannot give chunks to other nodes on port ${port}: ${messageOf(cause)}`;
        reject(new PlatformError(message, { code: "unavailable", retryable: false, cause }));
      });
      server.#http.listen({ port, ...(host === undefined ? {} : { host }) }, resolve);
    });
    server.#http.on("error", (error) => options.onError(error, "giving chunks to other nodes"));
    return server;
  }

  get port(): number {
    const address = this.#http.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  }

  /** Lets in those with tickets under this key, and no others. */
  admit(peerKey: string): void {
    this.#key = peerKey;
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#http.close(() => resolve()));
    this.#http.closeAllConnections();
    await closed;
  }

  #receive(request: IncomingMessage, response: ServerResponse): void {
    // No request has a body that is read.
    request.resume();
    const refusal = this.#refusalOf(request);
    if (refusal !== undefined) {
      response.writeHead(refusal).end();
      return;
    }
    this.#answering += 1;
    // Whoever reads too slowly holds memory: they ask elsewhere.
    const late = setTimeout(() => response.destroy(), ANSWER_MS_MAX);
    response.once("close", () => {
      clearTimeout(late);
      this.#answering -= 1;
    });
    void this.#answer(PATH.exec(request.url ?? "")?.[1] ?? "", response);
  }

  /** The status of a refusal; strangers learn nothing but that they are strangers. */
  #refusalOf({ method, url, headers }: IncomingMessage): number | undefined {
    const ticket = /^Bearer (\S+)$/.exec(headers.authorization ?? "")?.[1] ?? "";
    const nowMs = this.#options.clock.nowMs();
    if (this.#key === undefined || !isPeerTicket(this.#key, ticket, nowMs)) return 401;
    if (method !== "GET") return 405;
    if (!PATH.test(url ?? "")) return 404;
    return this.#answering >= ANSWERS_MAX ? 503 : undefined;
  }

  async #answer(chunkId: string, response: ServerResponse): Promise<void> {
    try {
      for (const store of this.#options.stores) {
        const encoded = await store.get(chunkId);
        if (encoded === undefined) continue;
        const length = { "content-length": encoded.byteLength };
        response.writeHead(200, { "content-type": "application/octet-stream", ...length });
        response.end(encoded);
        return;
      }
      response.writeHead(404).end();
    } catch (error) {
      this.#options.onError(error, `giving chunk ${chunkId} to another node`);
      response.writeHead(500).end();
    }
  }
}

/** Where a node is asked for chunks that listens on `port`, at an address of its own. */
export function peerUrlOf(address: string, port: number): string {
  const plain = address.replace(/^::ffff:/i, "").replace(/%.*$/, "");
  return `http://${isIPv6(plain) ? `[${plain}]` : plain}:${port}`;
}
