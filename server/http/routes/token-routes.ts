/** `/v1/tokens`: the tokens of a workspace, for its admins. */
import { z } from "zod";
import type { CreatedToken, TokenList, TokenSummary } from "../../../sdk/protocol/index.ts";
import {
  createdTokenSchema,
  newApiTokenSchema,
  tokenListSchema,
  tokenSummarySchema,
} from "../../workspaces/workspace-schema.ts";
import { principalOf } from "../authorize.ts";
import { answers, json } from "../documented.ts";
import { pageOf, pageQuery } from "../paging.ts";
import type { ApiServer, RouteDeps } from "../route-deps.ts";
import { idSchema } from "../wire-schemas.ts";

const tags = ["workspaces"];

export function tokenRoutes(app: ApiServer, { services, authenticator }: RouteDeps): void {
  const { tokens } = services;

  app.get(
    "/v1/tokens",
    {
      schema: {
        operationId: "listTokens",
        summary: "The tokens of the workspace, oldest first, without their secrets",
        tags,
        querystring: z.strictObject(pageQuery),
        response: answers({ 200: json(tokenListSchema, "A page of tokens.") }),
      },
    },
    async (request): Promise<TokenList> => {
      const all = await tokens.list(principalOf(request));
      const { items, next } = pageOf(all, oldestFirst, request.query);
      return { tokens: items, ...next };
    },
  );

  app.post(
    "/v1/tokens",
    {
      schema: {
        operationId: "createToken",
        summary: "Make a token of the workspace",
        description:
          "Its secret is in this answer and in no other; only its hash is kept. No token makes " +
          "one with more scopes than its own.",
        tags,
        body: newApiTokenSchema,
        response: answers({ 201: json(createdTokenSchema, "The token.") }, 413, 415),
      },
    },
    async (request, reply): Promise<CreatedToken> => {
      const created = await tokens.create(principalOf(request), request.body);
      void reply.code(201).header("cache-control", "no-store");
      return created;
    },
  );

  app.delete(
    "/v1/tokens/:tokenId",
    {
      schema: {
        operationId: "revokeToken",
        summary: "End a token; revoking twice is no error",
        description:
          "It is refused here at once, and by other servers of the platform within 3 seconds.",
        tags,
        params: z.object({ tokenId: idSchema("to") }),
        response: answers({ 200: json(tokenSummarySchema, "It is revoked.") }, 404),
      },
    },
    async (request): Promise<TokenSummary> => {
      const revoked = await tokens.revoke(principalOf(request), request.params.tokenId);
      authenticator.forget();
      return revoked;
    },
  );
}

function oldestFirst({ createdAtMs, tokenId }: TokenSummary): string {
  return `${String(createdAtMs).padStart(16, "0")} ${tokenId}`;
}
