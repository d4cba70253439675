/** Functions with a URL, and tunnels, for tests of the HTTP server. */
import type { Services, TunnelService, WebService } from "../services.ts";

/** Each URL answers with what it was asked; tunnels' URLs say what was asked for. */
export function createFakeGateway(): Pick<Services, "web" | "tunnels"> {
  return { web: createFakeWeb(), tunnels: createFakeTunnels() };
}

function createFakeWeb(): WebService {
  return {
    answer: async (request, response) => {
      const parts: Buffer[] = [];
      for await (const part of request) parts.push(part as Buffer);
      const body = Buffer.concat(parts).toString();
      response.writeHead(200, { "content-type": "application/json" });
      response.end(JSON.stringify({ method: request.method, url: request.url, body }));
    },
    upgrade: async (request, socket) => {
      socket.end(`HTTP/1.1 101 \r\n\r\n${request.url ?? ""}`);
      await Promise.resolve();
    },
    result: async (callId, _request, response) => {
      response.end(callId);
      await Promise.resolve();
    },
  };
}

function createFakeTunnels(): TunnelService {
  return {
    open: async (_who, app, ports) => {
      const tunnels = ports.map((port) => ({ port, webPath: `/web/main/${app}/${port}` }));
      return Promise.resolve({ tunnels });
    },
  };
}
