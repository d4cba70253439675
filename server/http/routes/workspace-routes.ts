/** `/v1/workspaces`: for the platform's operators. */
import { z } from "zod";
import type { WorkspaceList, WorkspaceSummary } from "../../../sdk/protocol/index.ts";
import {
  newWorkspaceSchema,
  workspaceListSchema,
  workspaceNameSchema,
  workspaceSummarySchema,
} from "../../workspaces/workspace-schema.ts";
import { answers, json, nothing } from "../documented.ts";
import { pageOf, pageQuery } from "../paging.ts";
import type { ApiServer, RouteDeps } from "../route-deps.ts";

const tags = ["workspaces"];

export function workspaceRoutes(app: ApiServer, { services, authenticator }: RouteDeps): void {
  const { workspaces } = services;

  app.get(
    "/v1/workspaces",
    {
      schema: {
        operationId: "listWorkspaces",
        summary: "The workspaces of the platform, by name",
        tags,
        querystring: z.strictObject(pageQuery),
        response: answers({ 200: json(workspaceListSchema, "A page of workspaces.") }),
      },
    },
    async (request): Promise<WorkspaceList> => {
      const { items, next } = pageOf(await workspaces.list(), ({ name }) => name, request.query);
      return { workspaces: items, ...next };
    },
  );

  app.post(
    "/v1/workspaces",
    {
      schema: {
        operationId: "createWorkspace",
        summary: "Make a workspace; tokens of it are made with `flotilla-workspace: NAME`",
        tags,
        body: newWorkspaceSchema,
        response: answers({ 201: json(workspaceSummarySchema, "It is there.") }, 409, 413, 415),
      },
    },
    async (request, reply): Promise<WorkspaceSummary> => {
      const summary = await workspaces.create(request.body);
      void reply.code(201);
      return summary;
    },
  );

  app.delete(
    "/v1/workspaces/:workspace",
    {
      schema: {
        operationId: "deleteWorkspace",
        summary: "Delete a workspace: its tokens end, its apps stop, its secrets are removed",
        description: "One in which apps run is deleted only with `evenIfUsed=true`.",
        tags,
        params: z.object({ workspace: workspaceNameSchema }),
        querystring: z.strictObject({ evenIfUsed: z.enum(["true", "false"]).default("false") }),
        response: answers({ 204: nothing("It is gone.") }, 404, 409),
      },
    },
    async (request, reply) => {
      const evenIfUsed = request.query.evenIfUsed === "true";
      await workspaces.remove(request.params.workspace, { evenIfUsed });
      authenticator.forget();
      return reply.code(204).send();
    },
  );
}
