/**
 * The agent's one connection to the server: kept, or made again with growing pauses.
 *
 * Results are kept until the server acknowledges them and sent again on every new connection;
 * anything else that is said while the link is down is dropped, as `hello` tells it anew.
 */
import { WebSocket, type RawData } from "ws";
import { messageOf, type Clock, type Rng } from "../../core/index.ts";
import { decodeFrame, encodeFrame, FRAME_BYTES_MAX } from "../../sdk/protocol/index.ts";
import { HEARTBEAT_MS, type AgentMessage, type ServerMessage } from "./link.ts";

export interface LinkClientOptions {
  readonly serverUrl: string;
  /** A join token, or the session token of an earlier connection. */
  readonly token: string;
  /** Sent with the join token, until there is a session. */
  readonly joinHeaders?: Readonly<Record<string, string>>;
  /** The server let us in under this name, with this token for the next time. */
  readonly onSession?: (nodeId: string, sessionToken: string) => void;
  /** Without any welcome for so long from the start, it is given up; absent means never. */
  readonly welcomeWithinMs?: number;
  /** Without a server for so long, at the start or later, it is given up; absent means never. */
  readonly aloneMsMax?: number;
  readonly clock: Clock;
  readonly rng: Rng;
  /**
   * Called on every connection with our name, and the address of this machine that it goes out
   * from; gives what to say first.
   */
  readonly hello: (nodeId: string, localAddress: string | undefined) => AgentMessage;
  readonly onMessage: (message: ServerMessage, body: Uint8Array) => void;
  /** A connection on which the server had welcomed us ended. */
  readonly onLost?: () => void;
  /** The server will not have this agent (any more); the link is given up. */
  readonly onRejected: (reason: string) => void;
  readonly onError: (error: unknown, doing: string) => void;
}

const RETRY_MS_MIN = 100;
const RETRY_MS_MAX = 2_000;
/** A server that says nothing, not even a ping, for this long is gone. */
const SILENCE_MS_MAX = 5 * HEARTBEAT_MS;
/** Refused tokens in a row after which it is no use. */
const REJECTIONS_MAX = 5;

export class LinkClient {
  readonly #options: LinkClientOptions;
  readonly #closing = new AbortController();
  #token: string;
  #socket: WebSocket | undefined;
  #welcomed = false;
  #rejections = 0;
  #heardAtMs = 0;
  #hasSession = false;
  #localAddress: string | undefined;

  constructor(options: LinkClientOptions) {
    this.#options = options;
    this.#token = options.token;
  }

  /** The token of the present session, for fetching code. */
  get token(): string {
    return this.#token;
  }

  get isConnected(): boolean {
    return this.#welcomed;
  }

  /** Keeps the link until `close`; resolves then, or when the server rejects this agent. */
  async run(): Promise<void> {
    const { clock, rng, onError, onRejected } = this.#options;
    const startedAtMs = clock.nowMs();
    let aloneSinceMs = startedAtMs;
    let pauseMs = RETRY_MS_MIN;
    while (!this.#closing.signal.aborted) {
      const hadWelcome = await this.#connectOnce().catch((error: unknown) => {
        onError(error, "talking to the server");
        return false;
      });
      if (this.#rejections >= REJECTIONS_MAX) {
        onRejected("the server refuses this agent's token");
        return;
      }
      const nowMs = clock.nowMs();
      if (hadWelcome) aloneSinceMs = nowMs;
      const hopeless = this.#hopeless(nowMs - startedAtMs, nowMs - aloneSinceMs);
      if (hopeless !== undefined) {
        onRejected(hopeless);
        return;
      }
      pauseMs = hadWelcome ? RETRY_MS_MIN : Math.min(RETRY_MS_MAX, pauseMs * 2);
      await clock.sleep(pauseMs * (0.5 + rng.next()), this.#closing.signal);
    }
  }

  /** Says something if the link is up. */
  send(message: AgentMessage, bodies: readonly Uint8Array[] = []): void {
    if (!this.#welcomed || this.#socket?.readyState !== WebSocket.OPEN) return;
    this.#socket.send(encodeFrame(message, bodies));
  }

  close(): void {
    this.#closing.abort();
    this.#socket?.close();
  }

  /** Why it is no use to go on; undefined while it is. */
  #hopeless(sinceStartMs: number, aloneMs: number): string | undefined {
    const { welcomeWithinMs = Infinity, aloneMsMax = Infinity } = this.#options;
    if (!this.#hasSession && sinceStartMs >= welcomeWithinMs) {
      return `no server took this machine in within ${welcomeWithinMs / 1000} s`;
    }
    return aloneMs < aloneMsMax ? undefined : `no server was there for ${aloneMsMax / 1000} s`;
  }

  /** One connection, from its making to its end; true when the server welcomed us. */
  async #connectOnce(): Promise<boolean> {
    const { serverUrl, clock, onError } = this.#options;
    const url = `${serverUrl.replace(/^http/, "ws")}/v1/agent`;
    const socket = new WebSocket(url, {
      headers: {
        authorization: `Bearer ${this.#token}`,
        ...(this.#hasSession ? {} : this.#options.joinHeaders),
      },
      maxPayload: FRAME_BYTES_MAX + 8,
      perMessageDeflate: false,
    });
    this.#socket = socket;
    this.#heardAtMs = clock.nowMs();
    const watch = setInterval(() => this.#cutWhenSilent(socket), HEARTBEAT_MS);
    const hear = (): void => {
      this.#heardAtMs = clock.nowMs();
    };
    socket.once("upgrade", (response) => {
      this.#localAddress = response.socket.localAddress;
    });
    socket.on("ping", hear);
    socket.on("message", (data) => {
      hear();
      try {
        this.#receive(data);
      } catch (error) {
        onError(error, "reading from the server");
        socket.terminate();
      }
    });
    socket.on("unexpected-response", (_request, response) => {
      if (response.statusCode === 401 || response.statusCode === 403) this.#rejections += 1;
      response.resume();
      socket.terminate();
    });
    let failure: unknown;
    socket.on("error", (error) => {
      failure = error;
    });
    await new Promise<void>((resolve) => socket.once("close", () => resolve()));
    clearInterval(watch);
    const wasWelcomed = this.#welcomed;
    this.#welcomed = false;
    if (wasWelcomed) this.#options.onLost?.();
    if (!wasWelcomed && failure !== undefined && !this.#closing.signal.aborted) {
      onError(failure, `connecting to ${serverUrl}: ${messageOf(failure)}`);
    }
    return wasWelcomed;
  }

  #receive(data: RawData): void {
    const { header, body } = decodeFrame<ServerMessage>(bytesOf(data));
    if (header.type === "welcome") {
      this.#token = header.sessionToken;
      this.#welcomed = true;
      this.#rejections = 0;
      this.#hasSession = true;
      this.#options.onSession?.(header.nodeId, header.sessionToken);
      this.send(this.#options.hello(header.nodeId, this.#localAddress));
    }
    this.#options.onMessage(header, body);
  }

  #cutWhenSilent(socket: WebSocket): void {
    if (this.#options.clock.nowMs() - this.#heardAtMs > SILENCE_MS_MAX) socket.terminate();
  }
}

function bytesOf(data: RawData): Uint8Array {
  if (Array.isArray(data)) return Buffer.concat(data);
  return data instanceof ArrayBuffer ? new Uint8Array(data) : data;
}
