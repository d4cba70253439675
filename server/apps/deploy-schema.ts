/** What a deployment may say. */
import { z } from "zod";
import type { DeployedFunction, DeployRequest, RollbackRequest } from "../../sdk/protocol/index.ts";
import { ownSecretsSchema } from "../secrets/secret-schema.ts";
import { FUNCTION_NAME, functionSpecSchema } from "./spec-schema.ts";
import { hasSharedPath } from "./web-paths.ts";

/** Most functions of one app. */
const FUNCTIONS_MAX = 1_000;

/** Names of apps: letters, digits, `.`, `_` and `-`, at most 64; never an app id. */
export const APP_NAME = /^(?!ap_[a-z0-9]{26}$)[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
export const APP_ID = /^ap_[a-z0-9]{26}$/;
export const SHA256_HEX = /^[0-9a-f]{64}$/;

export const appNameSchema = z.string().regex(APP_NAME, {
  error:
    "an app name is 1 to 64 letters, digits, '.', '_' or '-', and starts with one of the first two",
});

export const functionNameSchema = z
  .string()
  .regex(FUNCTION_NAME, {
    error:
      "a function name is 1 to 64 letters, digits, '_', '.' or '-', and starts with a letter or '_'",
  })
  .refine((name) => name !== "__proto__", { error: "this name is reserved" });

const deployedFunctionSchema = z.strictObject({
  name: functionNameSchema,
  spec: functionSpecSchema,
}) satisfies z.ZodType<DeployedFunction>;

const strategySchema = z.enum(["rolling", "recreate"]).meta({
  description: "`recreate`: containers start when the version before has none left.",
});

/** Checks a `RollbackRequest`. */
export const rollbackRequestSchema = z.strictObject({
  version: z.int().min(1).exactOptional(),
  strategy: strategySchema.exactOptional(),
}) satisfies z.ZodType<RollbackRequest>;

/** Checks a `DeployRequest`, every spec in it included. */
export const deployRequestSchema = z
  .strictObject({
    mode: z.enum(["deployed", "ephemeral"]),
    codeSha256: z.string().regex(SHA256_HEX, { error: "a SHA-256 is 64 hexadecimal digits" }),
    functions: z
      .array(deployedFunctionSchema)
      .min(1)
      .max(FUNCTIONS_MAX)
      .refine((functions) => new Set(functions.map(({ name }) => name)).size === functions.length, {
        error: "two functions have the same name",
      })
      .refine((functions) => !hasSharedPath(functions), {
        error: "two functions have the same path: give one another `path`",
      }),
    strategy: strategySchema.exactOptional(),
    ownSecrets: ownSecretsSchema.exactOptional(),
  })
  .refine(({ mode, ownSecrets }) => mode === "ephemeral" || ownSecrets === undefined, {
    path: ["ownSecrets"],
    error:
      "only an ephemeral app has secrets of its own: create one with `flotilla secret create` " +
      "and name it with Secret.fromName",
  }) satisfies z.ZodType<DeployRequest>;
