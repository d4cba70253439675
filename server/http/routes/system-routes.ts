/** `/health`, `/metrics`, `/openapi.json`, and the path that node agents upgrade on. */
import { z } from "zod";
import { answers, json, media, nothing, publicAnswers } from "../documented.ts";
import { RefusedError } from "../problem.ts";
import type { ApiServer, RouteDeps } from "../route-deps.ts";

const tags = ["system"];
const healthSchema = z.object({ status: z.literal("ok"), version: z.string() });

export function systemRoutes(app: ApiServer, { metrics, version }: RouteDeps): void {
  app.get(
    "/health",
    {
      schema: {
        operationId: "health",
        summary: "Whether the server answers; needs no token",
        tags,
        response: publicAnswers({ 200: json(healthSchema, "It does.") }),
      },
    },
    () => ({ status: "ok", version }),
  );

  pingRoute(app);

  app.get(
    "/metrics",
    {
      schema: {
        operationId: "metrics",
        summary: "Figures for Prometheus",
        tags,
        response: answers({ 200: media("text/plain", z.string(), "The text format.") }),
      },
    },
    async (_request, reply) => {
      reply.type(metrics.registry.contentType);
      return reply.send(await metrics.registry.metrics());
    },
  );

  app.get(
    "/openapi.json",
    {
      schema: {
        operationId: "openApi",
        summary: "This document",
        tags,
        response: answers({ 200: json(z.looseObject({}), "OpenAPI 3.1.") }),
      },
    },
    () => app.swagger(),
  );

  app.get(
    "/v1/agent",
    {
      schema: {
        operationId: "agentLink",
        summary: "WebSocket of node agents; takes join and agent tokens",
        tags,
        response: answers({ 101: z.null().describe("The link is open: frames both ways.") }, 426),
      },
    },
    (_request, reply) => {
      reply.header("upgrade", "websocket");
      throw new RefusedError(426, "invalid_request", "only a WebSocket upgrade is answered here");
    },
  );
}

function pingRoute(app: ApiServer): void {
  app.get(
    "/v1/ping",
    {
      schema: {
        operationId: "ping",
        summary: "Nothing: that the server answers and takes the token",
        tags,
        response: answers({ 204: nothing("It does.") }),
      },
    },
    (_request, reply) => reply.code(204).send(),
  );
}
