/** The shapes of an app's versions as schemas. */
import { z } from "zod";
import type { AppHistory, DeployedName } from "../../sdk/protocol/index.ts";

const count = z.int().min(0);

export const webPathSchema = z.string().meta({
  description: "Where it is asked over HTTP, below the server's URL.",
});

export const deployedNameSchema = z.object({
  name: z.string(),
  functionId: z.string(),
  webPath: webPathSchema.exactOptional(),
}) satisfies z.ZodType<DeployedName>;

export const appHistorySchema = z.object({
  app: z.string(),
  versions: z.array(
    z.object({
      version: count,
      appId: z.string(),
      state: z.enum(["running", "finishing", "stopped"]),
      createdAtMs: z.number(),
      codeSha256: z.string(),
      deployedBy: z
        .object({ tokenId: z.string(), name: z.string().exactOptional() })
        .exactOptional(),
      strategy: z.enum(["rolling", "recreate"]),
      rollbackOf: count.exactOptional(),
      functions: z.array(z.string()),
      changes: z
        .object({
          code: z.boolean(),
          added: z.array(z.string()),
          removed: z.array(z.string()),
          changed: z.array(z.string()),
        })
        .exactOptional(),
    }),
  ),
  nextBefore: count.exactOptional(),
}) satisfies z.ZodType<AppHistory>;
