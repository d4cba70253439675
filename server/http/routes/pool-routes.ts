/** `/v1/pool` and `/v1/clouds`: the rented fleet, for its operators. */
import { z } from "zod";
import { PlatformError } from "../../../core/index.ts";
import type { NewOrder, PoolService } from "../../services.ts";
import { answers, json } from "../documented.ts";
import {
  cloudCheckSchema,
  cloudReportSchema,
  orderBodySchema,
  orderReportSchema,
  poolEventSchema,
  poolStatusSchema,
} from "../pool-schemas.ts";
import type { ApiServer, RouteDeps } from "../route-deps.ts";
import { idSchema } from "../wire-schemas.ts";

const tags = ["pool"];

/** Events of one page. */
const EVENTS_MAX = 1_000;
const EVENTS_USUAL = 100;

const eventQuery = z.strictObject({
  node: idSchema("no").exactOptional(),
  before: z.coerce.number().int().min(0).exactOptional(),
  limit: z.coerce.number().int().min(1).max(EVENTS_MAX).default(EVENTS_USUAL),
});

const ORDERS: Readonly<Record<NewOrder["kind"], string>> = {
  cordon: "Put no new containers on a node; those that are there go on",
  uncordon: "Take a cordoned node back into service",
  drain: "Let a node's containers finish, then give the machine back",
  release: "Give a machine back now; what runs on it starts anew elsewhere",
};

/** What an order may say beside the reason. */
const FIELDS: Readonly<Record<NewOrder["kind"], readonly string[]>> = {
  cordon: [],
  uncordon: [],
  drain: ["deadlineMs"],
  release: ["evenIfBusy"],
};

export function poolRoutes(app: ApiServer, { services: { pool } }: RouteDeps): void {
  app.get(
    "/v1/pool",
    {
      schema: {
        operationId: "getPool",
        summary: "The rented fleet: nodes, spend, refusals, and what cannot be seen",
        tags,
        response: answers({ 200: json(poolStatusSchema, "The pool.") }),
      },
    },
    async () => pool.status(),
  );

  app.get(
    "/v1/pool/events",
    {
      schema: {
        operationId: "listPoolEvents",
        summary: "Why machines were rented and given back, newest first",
        tags,
        querystring: eventQuery,
        response: answers({ 200: json(z.object({ events: z.array(poolEventSchema) }), "A page.") }),
      },
    },
    async ({ query: { node, before, limit } }) => ({
      events: await pool.events({
        limit,
        ...(node === undefined ? {} : { nodeId: node }),
        ...(before === undefined ? {} : { beforeSequence: before }),
      }),
    }),
  );
  for (const kind of ["cordon", "uncordon", "drain", "release"] as const) {
    orderRoute(app, pool, kind);
  }
  cloudRoutes(app, pool);
}

function orderRoute(app: ApiServer, pool: PoolService, kind: NewOrder["kind"]): void {
  app.post(
    `/v1/pool/nodes/:nodeId/${kind}`,
    {
      schema: {
        operationId: `${kind}Node`,
        summary: ORDERS[kind],
        tags,
        params: z.object({ nodeId: idSchema("no") }),
        body: orderBodySchema,
        response: answers({ 200: json(orderReportSchema, "The node after it.") }, 404, 409),
      },
    },
    async ({ params, body }) => {
      const allowed = [...FIELDS[kind], "reason"];
      const wrong = Object.keys(body).find((field) => !allowed.includes(field));
      if (wrong !== undefined) {
        const message = `a ${kind} takes no ${wrong}; it takes ${allowed.join(" and ")}`;
        throw new PlatformError(message, { code: "invalid_request", retryable: false });
      }
      return pool.order(params.nodeId, { kind, ...body });
    },
  );
}

function cloudRoutes(app: ApiServer, pool: PoolService): void {
  app.get(
    "/v1/clouds",
    {
      schema: {
        operationId: "listClouds",
        summary: "The clouds that machines are rented from",
        tags,
        response: answers({
          200: json(z.object({ clouds: z.array(cloudReportSchema) }), "The clouds."),
        }),
      },
    },
    async () => ({ clouds: await pool.clouds() }),
  );

  app.post(
    "/v1/clouds/:cloud/check",
    {
      schema: {
        operationId: "checkCloud",
        summary: "Whether a cloud lets this platform read and rent; nothing is rented",
        tags,
        params: z.object({ cloud: z.string().regex(/^[a-z]{1,20}$/) }),
        response: answers({ 200: json(cloudCheckSchema, "What was tried.") }, 404),
      },
    },
    async ({ params }) => pool.checkCloud(params.cloud),
  );
}
