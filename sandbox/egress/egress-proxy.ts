/**
 * The way out of one container: a proxy on a unix socket of its own, which is all of the network
 * that the container has. It speaks HTTP (CONNECT, and requests with a whole URL) and SOCKS5.
 *
 * Every connection is decided by the gate, counted against a quota of bytes, and told in one
 * audit entry when it ends. A redirect is followed by the program in the container, so it comes
 * back as a connection of its own. Requests with a whole URL are passed on one connection each.
 */
import { createServer as createHttpServer, request as httpRequest } from "node:http";
import type { IncomingMessage, Server as HttpServer, ServerResponse } from "node:http";
import { chmod, mkdir, rm } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { duplexPair, Transform, type Duplex } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Clock } from "../../core/index.ts";
import type { EgressGate, Target } from "./egress-gate.ts";
import type { NoPassage, Passage } from "./passage.ts";
import { serveSocks, SOCKS_VERSION } from "./socks.ts";

/** One connection, told when it has ended or was not made. */
export interface AuditEntry {
  readonly containerId: string;
  readonly host: string;
  readonly port: number;
  /** The address that was connected to. */
  readonly address?: string;
  readonly outcome: "closed" | "refused" | "failed" | "over_quota";
  readonly reason?: string;
  readonly bytesOut: number;
  readonly bytesIn: number;
  readonly durationMs: number;
}

export interface EgressProxyOptions {
  readonly containerId: string;
  /** A folder that is mounted into the container; the socket is made in it. */
  readonly dir: string;
  readonly gate: EgressGate;
  readonly clock: Clock;
  readonly onAudit: (entry: AuditEntry) => void;
  readonly connectionsMax?: number;
  /** Bytes in both directions together, as long as the container lives. */
  readonly bytesMax?: number;
}

/** Name of the socket in its folder. */
export const EGRESS_SOCKET = "egress.sock";
const CONNECTIONS_MAX = 256;
const BYTES_MAX = 100 * 1024 ** 3;
const IDLE_MS_MAX = 10 * 60_000;
const HEADERS_MS_MAX = 30_000;
/** Headers between two neighbours, which end at a proxy (RFC 9110, section 7.6.1). */
const HOP_HEADERS = new Set([
  ...["connection", "proxy-connection", "keep-alive", "proxy-authenticate"],
  ...["proxy-authorization", "te", "trailer", "transfer-encoding", "upgrade", "expect"],
]);

export class EgressProxy {
  readonly #options: EgressProxyOptions;
  readonly #server: Server;
  readonly #http: HttpServer;
  readonly #sockets = new Set<Duplex>();
  /** Whom its connections are written down for. */
  #containerId: string;
  #clients = 0;
  #bytes = 0;

  private constructor(options: EgressProxyOptions) {
    this.#options = options;
    this.#containerId = options.containerId;
    this.#http = createHttpServer({ headersTimeout: HEADERS_MS_MAX, requestTimeout: 0 });
    this.#http.on("connect", (request, socket, head) => void this.#tunnel(request, socket, head));
    this.#http.on("request", (request, response) => void this.#forward(request, response));
    this.#http.on("clientError", (_, socket) => socket.destroy());
    this.#server = createServer({ allowHalfOpen: true }, (socket) => this.#accept(socket));
  }

  /** Opens the proxy; every user of the container may connect to its socket. */
  static async open(options: EgressProxyOptions): Promise<EgressProxy> {
    const proxy = new EgressProxy(options);
    await mkdir(options.dir, { recursive: true });
    const path = join(options.dir, EGRESS_SOCKET);
    await new Promise<void>((resolve, reject) => {
      proxy.#server.once("error", reject);
      proxy.#server.listen(path, resolve);
    });
    await chmod(path, 0o666);
    return proxy;
  }

  /** Ends every connection; new ones may follow. A container is saved only in between. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Ends the proxy with all its connections, and removes its folder. */
  async close(): Promise<void> {
    this.cut();
    this.#http.close();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
    await rm(this.#options.dir, { recursive: true, force: true });
  }

  #accept(socket: Socket): void {
    socket.on("error", () => socket.destroy());
    const { connectionsMax = CONNECTIONS_MAX } = this.#options;
    if (this.#clients >= connectionsMax) {
      socket.destroy();
      return;
    }
    this.#clients += 1;
    this.#hold(socket);
    socket.once("close", () => (this.#clients -= 1));
    socket.setTimeout(HEADERS_MS_MAX, () => socket.destroy());
    socket.once("data", (first: Buffer) => {
      socket.pause();
      socket.setTimeout(0);
      socket.unshift(first);
      if (first[0] === SOCKS_VERSION) {
        void serveSocks(socket, (target) => this.#pass(target));
        return;
      }
      this.#http.emit("connection", socket);
      process.nextTick(() => socket.resume());
    });
  }

  /** A connection to a target, if it may be and can be made. */
  async #pass(target: Target): Promise<Passage | NoPassage> {
    const { gate, clock, bytesMax = BYTES_MAX } = this.#options;
    const startedAtMs = clock.nowMs();
    if (this.#bytes >= bytesMax) {
      const reason = `the container has used its ${bytesMax} bytes of network`;
      this.#audit(target, startedAtMs, { outcome: "over_quota", reason });
      return { isRefusal: true, reason };
    }
    const opened = await gate.open(target);
    if (opened.kind !== "open") {
      const { kind: outcome, reason } = opened;
      this.#audit(target, startedAtMs, { outcome, reason });
      return { isRefusal: outcome === "refused", reason };
    }
    const { socket, address } = opened;
    this.#hold(socket);
    socket.setTimeout(IDLE_MS_MAX, () => socket.destroy());
    return {
      socket,
      join: async (client) => {
        const counted = await this.#join(client, socket);
        this.#audit(target, startedAtMs, { ...counted, address });
      },
    };
  }

  async #join(
    client: Duplex,
    socket: Socket,
  ): Promise<Pick<AuditEntry, "outcome" | "bytesOut" | "bytesIn">> {
    const { bytesMax = BYTES_MAX } = this.#options;
    const count = { out: 0, in: 0, isOver: false };
    const counting = (direction: "out" | "in"): Transform =>
      new Transform({
        transform: (chunk: Buffer, _, done) => {
          count[direction] += chunk.byteLength;
          this.#bytes += chunk.byteLength;
          count.isOver ||= this.#bytes > bytesMax;
          if (count.isOver) done(new Error("the container's quota of bytes is used up"));
          else done(null, chunk);
        },
      });
    const both = [
      pipeline(client, counting("out"), socket),
      pipeline(socket, counting("in"), client),
    ];
    // One end that fails takes the other with it; one that ends leaves it open.
    await Promise.all(both).catch(() => undefined);
    client.destroy();
    socket.destroy();
    await Promise.allSettled(both);
    return {
      outcome: count.isOver ? "over_quota" : "closed",
      bytesOut: count.out,
      bytesIn: count.in,
    };
  }

  async #tunnel(request: IncomingMessage, client: Duplex, head: Buffer): Promise<void> {
    client.on("error", () => client.destroy());
    const target = targetOf(request.url ?? "");
    if (target === undefined) {
      client.end(answer(400, "CONNECT needs a host and a port"));
      return;
    }
    const passage = await this.#pass(target);
    if (!("join" in passage)) {
      client.end(answer(passage.isRefusal ? 403 : 502, passage.reason));
      return;
    }
    client.write("HTTP/1.1 200 Connection established\r\n\r\n");
    if (head.byteLength > 0) client.unshift(head);
    await passage.join(client);
  }

  async #forward(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const refuse = (status: number, reason: string): void => {
      const headers = { "content-type": "text/plain; charset=utf-8", connection: "close" };
      response.writeHead(status, headers).end(`${reason}\n`);
    };
    const url = URL.canParse(request.url ?? "") ? new URL(request.url ?? "") : undefined;
    if (url?.protocol !== "http:") {
      refuse(400, "this is the proxy of a container: give it a whole http:// URL, or CONNECT");
      return;
    }
    const host = url.hostname.replace(/^\[|\]$/g, "");
    const passage = await this.#pass({ host, port: Number(url.port || 80) });
    if (!("join" in passage)) {
      refuse(passage.isRefusal ? 403 : 502, passage.reason);
      return;
    }
    const { client, done } = this.#counted(passage);
    const outgoing = httpRequest({
      method: request.method,
      path: `${url.pathname}${url.search}`,
      headers: { ...withoutHopHeaders(request.headers), host: url.host, connection: "close" },
      createConnection: () => client,
    });
    outgoing.on("response", (incoming) => {
      const headers = withoutHopHeaders(incoming.headers);
      response.writeHead(incoming.statusCode ?? 502, headers);
      pipeline(incoming, response).catch(() => response.destroy());
    });
    outgoing.on("error", (error) => {
      if (response.headersSent) response.destroy();
      else refuse(502, `${url.host} cannot be reached: ${error.message}`);
    });
    request.on("error", () => outgoing.destroy());
    response.on("close", () => client.destroy());
    request.pipe(outgoing);
    await done;
  }

  /** The near end of a passage, for a client that is this proxy itself. */
  #counted(passage: Passage): { readonly client: Duplex; readonly done: Promise<void> } {
    const [client, far] = duplexPair();
    for (const end of [client, far]) end.on("error", () => end.destroy());
    client.once("close", () => far.destroy());
    return { client, done: passage.join(far) };
  }

  #hold(socket: Duplex): void {
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    socket.on("error", () => socket.destroy());
  }

  /** It is this container's from now on: it was opened ahead of it. */
  becomes(containerId: string): void {
    this.#containerId = containerId;
  }

  #audit(
    { host, port }: Target,
    startedAtMs: number,
    ended: Pick<AuditEntry, "outcome"> & Partial<AuditEntry>,
  ): void {
    const { clock, onAudit } = this.#options;
    const containerId = this.#containerId;
    const durationMs = Math.max(0, clock.nowMs() - startedAtMs);
    onAudit({ containerId, host, port, bytesOut: 0, bytesIn: 0, durationMs, ...ended });
  }
}

/** The host and port of a CONNECT request; undefined when it names none. */
function targetOf(authority: string): Target | undefined {
  const parts = /^(?:\[([0-9a-f:.]+)\]|([^:[\]/@\s]+)):(\d{1,5})$/i.exec(authority);
  const host = parts?.[1] ?? parts?.[2];
  const port = Number(parts?.[3]);
  return host === undefined || port < 1 || port > 65_535 ? undefined : { host, port };
}

function answer(status: number, reason: string): string {
  const body = `${reason}\n`;
  return (
    `HTTP/1.1 ${status} ${status === 403 ? "Forbidden" : "Bad Gateway"}\r\n` +
    `content-type: text/plain; charset=utf-8\r\ncontent-length: ${Buffer.byteLength(body)}\r\n` +
    `connection: close\r\n\r\n${body}`
  );
}

function withoutHopHeaders(headers: IncomingMessage["headers"]): IncomingMessage["headers"] {
  const named = new Set((headers.connection ?? "").toLowerCase().split(/\s*,\s*/));
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => !HOP_HEADERS.has(name) && !named.has(name)),
  );
}
