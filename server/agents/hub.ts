/**
 * Where node agents connect: one WebSocket each, authenticated by a join token the first time
 * and by the session token it was given from then on.
 *
 * The hub knows links, not what they mean: messages, arrivals and departures go to `AgentEvents`.
 */
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { WebSocketServer, type RawData, type WebSocket } from "ws";
import { messageOf, type Clock } from "../../core/index.ts";
import {
  BATCH_HEADER,
  HEARTBEAT_MS,
  MACHINE_HEADER,
  type AgentMessage,
  type ServerMessage,
} from "../../sandbox/index.ts";
import { decodeFrame, encodeFrame, FRAME_BYTES_MAX } from "../../sdk/protocol/index.ts";
import type { AgentGateway } from "../services.ts";

/** Who a connecting agent turned out to be. */
export interface AgentIdentity {
  readonly nodeId: string;
  /** To be used on the next connection. */
  readonly sessionToken: string;
  /** For the tickets of those who ask it for chunks; absent: there are none. */
  readonly peerKey?: string;
}

type Hello = Extract<AgentMessage, { type: "hello" }>;

/** What an agent shows when it connects. */
export interface AgentCredentials {
  readonly authorization: string | undefined;
  /** On the first connection of a rented machine: its batch. */
  readonly batch?: string;
  /** And the ids by which its provider may know it. */
  readonly machineIds: readonly string[];
}

export interface AgentEvents {
  /**
   * Who is connecting, once for a join token; `later` when that is not known yet, and undefined
   * refuses the connection.
   */
  identify(credentials: AgentCredentials): Promise<AgentIdentity | "later" | undefined>;
  /** The agent has said hello; false sends it home. */
  arrived(link: AgentLine, hello: Hello): Promise<boolean>;
  message(link: AgentLine, message: Exclude<AgentMessage, Hello>, body: Uint8Array): void;
  /** The link is gone; the agent may come back. */
  departed(link: AgentLine): void;
}

/** Acknowledgements wait this long for others: an agent only keeps a copy meanwhile. */
const GATHER_ACKS_MS = 20;

/** The way to a connected agent. */
export interface NodeLink {
  /** Sends a message; on a link that is closing it is lost. */
  send(message: ServerMessage, bodies?: readonly Uint8Array[]): void;
  /** Tells the agent that it may forget these results. */
  acknowledge(inputIds: readonly string[]): void;
}

/** The link of an agent that has been identified, whatever carries it. */
export interface AgentLine extends NodeLink {
  readonly nodeId: string;
  /** When anything was last heard through it. */
  readonly lastSeenMs: number;
}

/** Where the agents of nodes are reached. */
export interface NodeLinks {
  /** Undefined while the node is not connected. */
  link(nodeId: string): NodeLink | undefined;
}

/** One connected agent. */
export class AgentLink implements AgentLine {
  readonly nodeId: string;
  readonly #socket: WebSocket;
  lastSeenMs: number;
  #acknowledged: string[] = [];

  constructor(nodeId: string, socket: WebSocket, nowMs: number) {
    this.nodeId = nodeId;
    this.#socket = socket;
    this.lastSeenMs = nowMs;
  }

  /** Sends a message; a link that is closing drops it, and its loss is handled by `departed`. */
  send(message: ServerMessage, bodies: readonly Uint8Array[] = []): void {
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    this.#socket.send(encodeFrame(message, bodies));
  }

  /** Tells the agent that it may forget these results; soon, with others. */
  acknowledge(inputIds: readonly string[]): void {
    if (this.#acknowledged.length === 0) setTimeout(() => this.#sendAcks(), GATHER_ACKS_MS);
    this.#acknowledged.push(...inputIds);
  }

  ping(): void {
    if (this.#socket.readyState === this.#socket.OPEN) this.#socket.ping();
  }

  /** Cuts the link without a word; used for peers that are silent or broken. */
  cut(): void {
    this.#socket.terminate();
  }

  /** Ends the link politely. */
  close(): void {
    this.#socket.close();
  }

  #sendAcks(): void {
    const inputIds = this.#acknowledged;
    this.#acknowledged = [];
    this.send({ type: "ack", inputIds });
  }
}

export interface AgentHubOptions {
  readonly events: AgentEvents;
  readonly clock: Clock;
  /** Silence after which a link is cut. */
  readonly silenceMsMax: number;
  readonly onError: (error: unknown, doing: string) => void;
}

export class AgentHub implements AgentGateway, NodeLinks {
  readonly #options: AgentHubOptions;
  readonly #server = new WebSocketServer({ noServer: true, maxPayload: FRAME_BYTES_MAX + 8 });
  readonly #links = new Map<string, AgentLink>();
  readonly #heartbeat: NodeJS.Timeout;

  constructor(options: AgentHubOptions) {
    this.#options = options;
    this.#heartbeat = setInterval(() => this.#beat(), HEARTBEAT_MS);
    this.#heartbeat.unref();
  }

  /** The link of a node; undefined while it is not connected. */
  link(nodeId: string): AgentLink | undefined {
    return this.#links.get(nodeId);
  }

  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    this.#options.events
      .identify(credentialsOf(request))
      .then((identity) => {
        if (identity === undefined || identity === "later") {
          const status = identity === "later" ? "503 Service Unavailable" : "401 Unauthorized";
          socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
          return;
        }
        this.#server.handleUpgrade(request, socket, head, (webSocket) => {
          this.#welcome(webSocket, identity);
        });
      })
      .catch((error: unknown) => {
        this.#options.onError(error, "authenticating an agent");
        socket.destroy();
      });
  }

  close(): void {
    clearInterval(this.#heartbeat);
    for (const link of this.#links.values()) link.close();
    this.#server.close();
  }

  #welcome(socket: WebSocket, identity: AgentIdentity): void {
    const { nodeId } = identity;
    const { clock, events, onError } = this.#options;
    this.#links.get(nodeId)?.cut();
    const link = new AgentLink(nodeId, socket, clock.nowMs());
    this.#links.set(nodeId, link);
    link.send({ type: "welcome", ...identity });
    let greeted: Promise<boolean> | undefined;
    const receive = (data: RawData): void => {
      link.lastSeenMs = clock.nowMs();
      const { header, body } = decodeFrame<AgentMessage>(bytesOf(data));
      if (header.type === "hello") {
        greeted = events.arrived(link, header);
        greeted
          .then((accepted) => {
            if (accepted) return;
            link.send({ type: "goodbye", reason: "this node is released or unknown" });
            link.close();
          })
          .catch((error: unknown) => {
            onError(error, `greeting node ${nodeId}`);
            // Half greeted, it would be heard no more: it comes again and says what it holds.
            link.cut();
          });
        return;
      }
      if (greeted === undefined) throw new Error(`"${header.type}" before "hello"`);
      // What follows a hello waits for it: a result must find its container.
      const message = header;
      void greeted.then((accepted) => {
        if (accepted) events.message(link, message, body);
      }, ignoreReported);
    };
    socket.on("message", (data) => {
      try {
        receive(data);
      } catch (error) {
        onError(error, `reading from node ${nodeId}`);
        link.cut();
      }
    });
    socket.on("pong", () => {
      link.lastSeenMs = clock.nowMs();
    });
    socket.on("error", (error) => onError(error, `talking to node ${nodeId}: ${messageOf(error)}`));
    socket.on("close", () => {
      if (this.#links.get(nodeId) === link) this.#links.delete(nodeId);
      events.departed(link);
    });
  }

  #beat(): void {
    const silentBeforeMs = this.#options.clock.nowMs() - this.#options.silenceMsMax;
    for (const link of this.#links.values()) {
      if (link.lastSeenMs < silentBeforeMs) link.cut();
      else link.ping();
    }
  }
}

function credentialsOf({ headers }: IncomingMessage): AgentCredentials {
  const { authorization, [BATCH_HEADER]: batch, [MACHINE_HEADER]: machine } = headers;
  return {
    authorization,
    ...(typeof batch === "string" ? { batch } : {}),
    machineIds: typeof machine === "string" ? machine.split(",").filter((id) => id !== "") : [],
  };
}

/** The failure of a greeting is reported where it happens. */
function ignoreReported(): void {
  return undefined;
}

function bytesOf(data: RawData): Uint8Array {
  if (Array.isArray(data)) return Buffer.concat(data);
  return data instanceof ArrayBuffer ? new Uint8Array(data) : data;
}
