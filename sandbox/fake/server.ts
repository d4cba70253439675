/** The server's end of agent links, in the hands of a test. */
import { createServer, type Server } from "node:http";
import { WebSocketServer, type RawData, type WebSocket } from "ws";
import { assert } from "../../core/index.ts";
import { decodeFrame, encodeFrame } from "../../sdk/protocol/index.ts";
import type { AgentMessage, ServerMessage } from "../agent/link.ts";
import { until } from "./clock.ts";

type Message<Type extends AgentMessage["type"]> = Extract<AgentMessage, { type: Type }>;

/** One connection of an agent. */
export class FakeLink {
  readonly heard: { readonly message: AgentMessage; readonly body: Uint8Array }[] = [];
  /** The bearer token that it came with. */
  readonly token: string;
  readonly #socket: WebSocket;

  constructor(socket: WebSocket, token: string) {
    this.#socket = socket;
    this.token = token;
    socket.on("message", (data: RawData) => {
      assert(Buffer.isBuffer(data), "an agent sends binary messages");
      const { header, body } = decodeFrame<AgentMessage>(data);
      this.heard.push({ message: header, body });
    });
  }

  say(message: ServerMessage, body: Uint8Array = new Uint8Array(0)): void {
    this.#socket.send(encodeFrame(message, [body]));
  }

  sayBytes(bytes: Uint8Array): void {
    this.#socket.send(bytes);
  }

  /** The messages of a type so far. */
  all<Type extends AgentMessage["type"]>(type: Type): readonly Message<Type>[] {
    return this.heard.flatMap(({ message }) => (isOf(message, type) ? [message] : []));
  }

  /** The first `count` messages of a type, once they have come. */
  async hear<Type extends AgentMessage["type"]>(
    type: Type,
    count = 1,
  ): Promise<readonly Message<Type>[]> {
    await until(() => this.all(type).length >= count, `${count} messages "${type}"`);
    return this.all(type);
  }

  /** Ends the link without a word. */
  cut(): void {
    this.#socket.terminate();
  }
}

export class FakeServer {
  readonly links: FakeLink[] = [];
  /** Whether connections are let in. */
  accepts = true;
  refusals = 0;
  /** What it gives to those who ask for code, by hash. */
  readonly blobs = new Map<string, Uint8Array>();
  readonly #http: Server;
  readonly #server: WebSocketServer;

  private constructor(http: Server) {
    this.#http = http;
    this.#server = new WebSocketServer({
      server: http,
      verifyClient: (_: unknown, decide: (accepted: boolean) => void) => {
        if (!this.accepts) this.refusals += 1;
        decide(this.accepts);
      },
    });
    http.on("request", (request, response) => {
      const blob = this.blobs.get(request.url?.split("/").at(-1) ?? "");
      response.writeHead(blob === undefined ? 404 : 200).end(blob);
    });
    this.#server.on("connection", (socket, request) => {
      const token = (request.headers.authorization ?? "").replace("Bearer ", "");
      this.links.push(new FakeLink(socket, token));
    });
  }

  static async open(): Promise<FakeServer> {
    const http = createServer();
    await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
    return new FakeServer(http);
  }

  get url(): string {
    const address = this.#http.address();
    assert(typeof address === "object" && address !== null, "the server listens on a port");
    return `http://127.0.0.1:${address.port}`;
  }

  /** The link that is made `position`-th, from 0, once it is there. */
  async link(position: number): Promise<FakeLink> {
    await until(() => this.links.length > position, `link ${position}`);
    const link = this.links[position];
    assert(link !== undefined, "the link was just seen");
    return link;
  }

  close(): void {
    for (const link of this.links) link.cut();
    this.#server.close();
    this.#http.close();
    this.#http.closeAllConnections();
  }
}

function isOf<Type extends AgentMessage["type"]>(
  message: AgentMessage,
  type: Type,
): message is Message<Type> {
  return message.type === type;
}
