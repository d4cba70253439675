/** `/v1/apps`: deploying, listing, looking up and stopping. */
import { z } from "zod";
import {
  VERSIONS_PER_PAGE_MAX,
  type AppHistory,
  type AppList,
  type AppSummary,
  type Deployment,
  type FunctionInfo,
} from "../../../sdk/protocol/index.ts";
import {
  APP_ID,
  appNameSchema,
  deployRequestSchema,
  functionNameSchema,
  rollbackRequestSchema,
} from "../../apps/deploy-schema.ts";
import type { AppService } from "../../services.ts";
import { principalOf } from "../authorize.ts";
import { appHistorySchema } from "../app-schemas.ts";
import { answers, json, nothing } from "../documented.ts";
import { newestFirst, pageOf, pageQuery } from "../paging.ts";
import type { ApiServer, RouteDeps } from "../route-deps.ts";
import {
  appListSchema,
  appSummarySchema,
  deploymentSchema,
  functionInfoSchema,
  idSchema,
} from "../wire-schemas.ts";

const tags = ["apps"];
const appNameOrId = z.union([z.string().regex(APP_ID), appNameSchema], {
  error: "must be the name or the id of an app",
});

export function appRoutes(app: ApiServer, { services }: RouteDeps): void {
  deploymentRoutes(app, services.apps);
  versionRoutes(app, services.apps);
  nameRoutes(app, services.apps);
}

function deploymentRoutes(app: ApiServer, apps: AppService): void {
  app.post(
    "/v1/apps/:app/deployments",
    {
      schema: {
        operationId: "deploy",
        summary: "Deploy an app; its code must be uploaded before",
        description: "A deployed app replaces its running version. An ephemeral one needs beats.",
        tags,
        params: z.object({ app: appNameSchema }),
        body: deployRequestSchema,
        response: answers({ 200: json(deploymentSchema, "It is deployed.") }, 413, 415),
      },
    },
    async (request): Promise<Deployment> =>
      apps.deploy(principalOf(request), request.params.app, request.body),
  );

  app.post(
    "/v1/deployments/:appId/heartbeat",
    {
      schema: {
        operationId: "heartbeat",
        summary: "Keep an ephemeral app alive for another lease",
        tags,
        params: z.object({ appId: idSchema("ap") }),
        response: answers({ 204: nothing("It lives on.") }, 404, 409),
      },
    },
    async (request, reply) => {
      await apps.heartbeat(principalOf(request), request.params.appId);
      return reply.code(204).send();
    },
  );
}

const VERSIONS_PER_PAGE = 50;
const historyQuery = z.object({
  before: z.coerce.number().int().min(1).optional(),
  limit: z.coerce.number().int().min(1).max(VERSIONS_PER_PAGE_MAX).default(VERSIONS_PER_PAGE),
});

function versionRoutes(app: ApiServer, apps: AppService): void {
  app.get(
    "/v1/apps/:app/versions",
    {
      schema: {
        operationId: "listAppVersions",
        summary: "The versions of a deployed app and what changed in each, newest first",
        tags,
        params: z.object({ app: appNameSchema }),
        querystring: historyQuery,
        response: answers({ 200: json(appHistorySchema, "A page of versions.") }, 404),
      },
    },
    async (request): Promise<AppHistory> => {
      const { before, limit } = request.query;
      const query = before === undefined ? { limit } : { before, limit };
      return apps.history(principalOf(request), request.params.app, query);
    },
  );

  app.post(
    "/v1/apps/:app/rollback",
    {
      schema: {
        operationId: "rollbackApp",
        summary: "Deploy the code and specs of an earlier version as a new version",
        description: "404 when there is no such version, or its code or an image of it is gone.",
        tags,
        params: z.object({ app: appNameSchema }),
        body: rollbackRequestSchema,
        response: answers({ 200: json(deploymentSchema, "It is deployed.") }, 404, 409, 413, 415),
      },
    },
    async (request): Promise<Deployment> =>
      apps.rollback(principalOf(request), request.params.app, request.body),
  );
}

function nameRoutes(app: ApiServer, apps: AppService): void {
  app.get(
    "/v1/apps",
    {
      schema: {
        operationId: "listApps",
        summary: "What runs, and the last version of what was stopped; newest first",
        tags,
        querystring: z.strictObject(pageQuery),
        response: answers({ 200: json(appListSchema, "The apps.") }),
      },
    },
    async (request): Promise<AppList> => {
      const all = await apps.list(principalOf(request));
      const { items, next } = pageOf(all, appKey, request.query);
      return { apps: items, ...next };
    },
  );

  app.post(
    "/v1/apps/:app/stop",
    {
      schema: {
        operationId: "stopApp",
        summary: "Stop an app by name or id; stopping twice is no error",
        tags,
        params: z.object({ app: appNameOrId }),
        response: answers({ 200: json(appSummarySchema, "It is stopped.") }, 404),
      },
    },
    async (request): Promise<AppSummary> => apps.stop(principalOf(request), request.params.app),
  );

  app.get(
    "/v1/apps/:app/functions/:function",
    {
      schema: {
        operationId: "lookupFunction",
        summary: "A function of the running version of an app, by names",
        tags,
        params: z.object({ app: appNameSchema, function: functionNameSchema }),
        response: answers({ 200: json(functionInfoSchema, "The function.") }, 404),
      },
    },
    async (request): Promise<FunctionInfo> =>
      apps.lookup(principalOf(request), request.params.app, request.params.function),
  );
}

function appKey({ createdAtMs, appId }: AppSummary): string {
  return `${newestFirst(createdAtMs)} ${appId}`;
}
