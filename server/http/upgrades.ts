/** WebSocket upgrades: of node agents, and to functions' URLs; all else is refused. */
import type { IncomingMessage, Server } from "node:http";
import type { Duplex } from "node:stream";
import type { AgentGateway, WebService } from "../services.ts";
import { PROBLEM_MEDIA_TYPE, problemOf, RefusedError } from "./problem.ts";

const AGENT_PATH = "/v1/agent";
const WEB_PATH = "/web/";

/** Whether a request is an upgrade that we know; others are answered as plain requests. */
export function isWebSocketUpgrade(request: IncomingMessage): boolean {
  return request.headers.upgrade?.toLowerCase() === "websocket";
}

/**
 * Hands upgrades to those whom they are for.
 *
 * @returns Cuts every upgraded connection and refuses further ones; agents reconnect.
 */
export function handleUpgrades(
  server: Server,
  { agents, web }: { readonly agents: AgentGateway; readonly web: WebService },
  newId: () => string,
) {
  const sockets = new Set<Duplex>();
  let isClosing = false;
  server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on("error", () => socket.destroy());
    const path = (request.url ?? "").split("?")[0];
    if (isClosing) {
      endWith(socket, new RefusedError(503, "unavailable", "the server is stopping"), newId());
    } else if (path === AGENT_PATH) {
      sockets.add(socket);
      socket.once("close", () => sockets.delete(socket));
      agents.handleUpgrade(request, socket, head);
    } else if (path?.startsWith(WEB_PATH) === true) {
      const gone = new AbortController();
      sockets.add(socket);
      socket.once("close", () => {
        sockets.delete(socket);
        gone.abort();
      });
      void web.upgrade(request, socket, head, { requestId: newId(), signal: gone.signal });
    } else {
      const message = "there is no WebSocket here; node agents use /v1/agent";
      endWith(socket, new RefusedError(404, "not_found", message), newId());
    }
  });
  return (): void => {
    isClosing = true;
    for (const socket of sockets) socket.destroy();
  };
}

/** Answers on a bare connection and closes it. */
export function endWith(socket: Duplex, thrown: unknown, requestId: string): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const problem = problemOf(thrown, requestId);
  const body = JSON.stringify(problem);
  socket.end(
    `HTTP/1.1 ${problem.status} ${problem.title}\r\n` +
      `content-type: ${PROBLEM_MEDIA_TYPE}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n` +
      `connection: close\r\n\r\n${body}`,
  );
}
