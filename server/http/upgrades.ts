/** Upgrades: of node agents, to functions' URLs and to shells; all else is refused. */
import type { IncomingMessage, Server } from "node:http";
import type { Duplex } from "node:stream";
import { SHELL_PROTOCOL } from "../../sdk/protocol/index.ts";
import type { AgentGateway, ShellService, WebService } from "../services.ts";
import { PROBLEM_MEDIA_TYPE, problemOf, RefusedError } from "./problem.ts";

const AGENT_PATH = "/v1/agent";
const WEB_PATH = "/web/";
const SHELL_PATH = /^\/v1\/containers\/[^/?]+\/shell(\?|$)/;

/** Whether a request is an upgrade that we know; others are answered as plain requests. */
export function isWebSocketUpgrade(request: IncomingMessage): boolean {
  return request.headers.upgrade?.toLowerCase() === "websocket" || isShellUpgrade(request);
}

function isShellUpgrade({ headers, url = "" }: IncomingMessage): boolean {
  return headers.upgrade?.toLowerCase() === SHELL_PROTOCOL && SHELL_PATH.test(url);
}

interface UpgradeServices {
  readonly agents: AgentGateway;
  readonly web: WebService;
  readonly shells: ShellService;
}

/**
 * Hands upgrades to those whom they are for.
 *
 * @returns Cuts every upgraded connection and refuses further ones; agents reconnect.
 */
export function handleUpgrades(
  server: Server,
  { agents, web, shells }: UpgradeServices,
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
    } else if (isShellUpgrade(request)) {
      sockets.add(socket);
      socket.once("close", () => sockets.delete(socket));
      void shells.upgrade(request, socket, head, newId());
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

/** Answers on a bare connection and closes it; `isHead`: the request asked for no body. */
export function endWith(socket: Duplex, thrown: unknown, requestId: string, isHead = false): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const problem = problemOf(thrown, requestId);
  const body = JSON.stringify(problem);
  socket.end(
    `HTTP/1.1 ${problem.status} ${problem.title}\r\n` +
      `content-type: ${PROBLEM_MEDIA_TYPE}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n` +
      `connection: close\r\n\r\n${isHead ? "" : body}`,
  );
}
