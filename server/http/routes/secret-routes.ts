/** `/v1/secrets`: written and named; no route gives a value. */
import { z } from "zod";
import type { SecretList, SecretSummary } from "../../../sdk/protocol/index.ts";
import {
  newSecretSchema,
  secretNameSchema,
  secretUpdateSchema,
} from "../../secrets/secret-schema.ts";
import { principalOf } from "../authorize.ts";
import { answers, json, nothing } from "../documented.ts";
import { pageOf, pageQuery } from "../paging.ts";
import type { ApiServer, RouteDeps } from "../route-deps.ts";
import { secretListSchema, secretSummarySchema } from "../wire-schemas.ts";

const tags = ["secrets"];
const params = z.object({ secret: secretNameSchema });

export function secretRoutes(app: ApiServer, { services }: RouteDeps): void {
  const { secrets } = services;

  app.get(
    "/v1/secrets",
    {
      schema: {
        operationId: "listSecrets",
        summary: "The secrets by name, with the names of their variables and no value",
        tags,
        querystring: z.strictObject(pageQuery),
        response: answers({ 200: json(secretListSchema, "A page of secrets.") }),
      },
    },
    async (request): Promise<SecretList> => {
      const all = await secrets.list(principalOf(request));
      const { items, next } = pageOf(all, ({ name }) => name, request.query);
      return { secrets: items, ...next };
    },
  );

  app.post(
    "/v1/secrets",
    {
      schema: {
        operationId: "createSecret",
        summary: "Create a secret",
        description: "Its values are encrypted at once and are in no answer of any route.",
        tags,
        body: newSecretSchema,
        response: answers({ 201: json(secretSummarySchema, "It is kept.") }, 409, 413, 415, 429),
      },
    },
    async (request, reply): Promise<SecretSummary> => {
      const summary = await secrets.create(principalOf(request), request.body);
      void reply.code(201);
      return summary;
    },
  );

  app.patch(
    "/v1/secrets/:secret",
    {
      schema: {
        operationId: "updateSecret",
        summary: "Set and unset variables of a secret; the others stay",
        description: "Containers that start from now on have it; those that run keep theirs.",
        tags,
        params,
        body: secretUpdateSchema,
        response: answers({ 200: json(secretSummarySchema, "It is kept.") }, 404, 409, 413, 415),
      },
    },
    async (request): Promise<SecretSummary> =>
      secrets.update(principalOf(request), request.params.secret, request.body),
  );

  app.delete(
    "/v1/secrets/:secret",
    {
      schema: {
        operationId: "deleteSecret",
        summary: "Delete a secret; containers of functions that name it start no more",
        tags,
        params,
        response: answers({ 204: nothing("It is gone.") }, 404),
      },
    },
    async (request, reply) => {
      await secrets.remove(principalOf(request), request.params.secret);
      return reply.code(204).send();
    },
  );
}
