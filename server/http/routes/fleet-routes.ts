/** `/v1/containers`, `/v1/nodes`, `/v1/plan`, `/v1/status`: the fleet as it is now. */
import { z } from "zod";
import {
  SHELL_PROTOCOL,
  type ContainerList,
  type ContainerSummary,
  type NodeList,
  type NodeSummary,
  type PlatformStatus,
} from "../../../sdk/protocol/index.ts";
import { principalOf } from "../authorize.ts";
import { answers, json, nothing } from "../documented.ts";
import { nextCursorSchema, pageOf, pageQuery } from "../paging.ts";
import { RefusedError } from "../problem.ts";
import type { ApiServer, RouteDeps } from "../route-deps.ts";
import {
  containerSummarySchema,
  idSchema,
  nodeSummarySchema,
  planSummarySchema,
  platformStatusSchema,
} from "../wire-schemas.ts";

const tags = ["fleet"];
const containerList = z.object({
  containers: z.array(containerSummarySchema),
  nextCursor: nextCursorSchema,
}) satisfies z.ZodType<ContainerList>;
const nodeList = z.object({
  nodes: z.array(nodeSummarySchema),
  nextCursor: nextCursorSchema,
}) satisfies z.ZodType<NodeList>;

export function fleetRoutes(app: ApiServer, { services }: RouteDeps): void {
  const { fleet } = services;
  containerRoutes(app, fleet);

  app.get(
    "/v1/nodes",
    {
      schema: {
        operationId: "listNodes",
        summary: "The machines of the platform; emulated hardware is named as such",
        tags,
        querystring: z.strictObject(pageQuery),
        response: answers({ 200: json(nodeList, "The nodes.") }),
      },
    },
    async (request): Promise<NodeList> => {
      const { items, next } = pageOf(await fleet.nodes(), nodeKey, request.query);
      return { nodes: items, ...next };
    },
  );

  app.get(
    "/v1/plan",
    {
      schema: {
        operationId: "getPlan",
        summary: "The last plan: what to rent, and why",
        tags,
        response: answers({
          200: json(planSummarySchema, "The plan."),
          204: nothing("There is none yet: nothing has asked for capacity."),
        }),
      },
    },
    async (_request, reply) => {
      const plan = await fleet.plan();
      return plan === undefined ? reply.code(204).send() : reply.send(plan);
    },
  );

  app.get(
    "/v1/status",
    {
      schema: {
        operationId: "getStatus",
        summary: "The platform as a whole",
        tags,
        response: answers({ 200: json(platformStatusSchema, "Its figures.") }),
      },
    },
    async (): Promise<PlatformStatus> => fleet.status(),
  );
}

function containerRoutes(app: ApiServer, fleet: RouteDeps["services"]["fleet"]): void {
  app.get(
    "/v1/containers",
    {
      schema: {
        operationId: "listContainers",
        summary: "The containers of this workspace",
        tags,
        querystring: z.strictObject(pageQuery),
        response: answers({ 200: json(containerList, "The containers.") }),
      },
    },
    async (request): Promise<ContainerList> => {
      const all = await fleet.containers(principalOf(request));
      const { items, next } = pageOf(all, containerKey, request.query);
      return { containers: items, ...next };
    },
  );

  app.get(
    "/v1/containers/:containerId/shell",
    {
      schema: {
        operationId: "openShell",
        summary: `A terminal in a container; wants \`Upgrade: ${SHELL_PROTOCOL}\``,
        tags,
        params: z.object({ containerId: idSchema("co") }),
        response: answers({ 101: z.null().describe("The shell is open: frames both ways.") }, 426),
      },
    },
    (_request, reply) => {
      reply.header("upgrade", SHELL_PROTOCOL);
      throw new RefusedError(
        426,
        "invalid_request",
        `only an upgrade to ${SHELL_PROTOCOL} is answered here`,
      );
    },
  );

  app.post(
    "/v1/containers/:containerId/stop",
    {
      schema: {
        operationId: "stopContainer",
        summary: "End a container; its unfinished inputs go back to the queue",
        tags,
        params: z.object({ containerId: idSchema("co") }),
        response: answers({ 204: nothing("It is ending.") }, 404),
      },
    },
    async (request, reply) => {
      await fleet.stopContainer(principalOf(request), request.params.containerId);
      return reply.code(204).send();
    },
  );
}

function nodeKey({ nodeId }: NodeSummary): string {
  return nodeId;
}

/** In the order in which they were started. */
function containerKey({ startedAtMs, containerId }: ContainerSummary): string {
  return `${String(Math.round(startedAtMs)).padStart(16, "0")} ${containerId}`;
}
