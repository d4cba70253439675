/** What workspaces and tokens may be: checked as they come. */
import { z } from "zod";
import {
  TOKEN_LIFE_MS_MAX,
  TOKEN_SCOPES,
  type CreatedToken,
  type NewApiToken,
  type NewWorkspace,
  type TokenList,
  type TokenSummary,
  type WorkspaceList,
  type WorkspaceSummary,
} from "../../sdk/protocol/index.ts";
import { nextCursorSchema } from "../http/paging.ts";

const count = z.int().min(0);

export const workspaceNameSchema = z.string().regex(/^[a-z][a-z0-9-]{0,39}$/, {
  error: "a workspace is named by 1 to 40 lower-case letters, digits and -, a letter first",
});

export const newWorkspaceSchema = z.strictObject({
  name: workspaceNameSchema,
}) satisfies z.ZodType<NewWorkspace>;

export const workspaceSummarySchema = z.object({
  workspaceId: z.string(),
  name: z.string(),
  createdAtMs: count,
  appCount: count,
  tokenCount: count,
}) satisfies z.ZodType<WorkspaceSummary>;

export const workspaceListSchema = z.object({
  workspaces: z.array(workspaceSummarySchema),
  nextCursor: nextCursorSchema,
}) satisfies z.ZodType<WorkspaceList>;

const scope = z.enum(TOKEN_SCOPES);

export const newApiTokenSchema = z.strictObject({
  name: z.string().regex(/^[\p{L}\p{N}][\p{L}\p{N} ._@:/-]{0,63}$/u, {
    error: "a token is named by 1 to 64 letters, digits, blanks and . _ @ : / -",
  }),
  scopes: z.array(scope).min(1).max(TOKEN_SCOPES.length),
  expiresInMs: z.int().min(1_000).max(TOKEN_LIFE_MS_MAX).exactOptional(),
}) satisfies z.ZodType<NewApiToken>;

export const tokenSummarySchema = z.object({
  tokenId: z.string(),
  name: z.string(),
  scopes: z.array(scope),
  state: z.enum(["active", "expired", "revoked"]),
  createdAtMs: count,
  lastUsedAtMs: count.exactOptional(),
  expiresAtMs: count.exactOptional(),
  revokedAtMs: count.exactOptional(),
}) satisfies z.ZodType<TokenSummary>;

export const createdTokenSchema = tokenSummarySchema.extend({
  secret: z.string().meta({ description: "The token itself; in no later answer." }),
}) satisfies z.ZodType<CreatedToken>;

export const tokenListSchema = z.object({
  tokens: z.array(tokenSummarySchema),
  nextCursor: nextCursorSchema,
}) satisfies z.ZodType<TokenList>;

/** The shapes under the names that they have in the OpenAPI document. */
const NAMED: Readonly<Record<string, z.ZodType>> = {
  CreatedToken: createdTokenSchema,
  NewApiToken: newApiTokenSchema,
  TokenList: tokenListSchema,
  TokenSummary: tokenSummarySchema,
  WorkspaceList: workspaceListSchema,
  WorkspaceSummary: workspaceSummarySchema,
};
for (const [id, schema] of Object.entries(NAMED)) z.globalRegistry.add(schema, { id });
