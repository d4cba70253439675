/** What a function may say about its URL. */
import { z } from "zod";
import type { WebSpec } from "../../sdk/protocol/index.ts";

/** Checks a `WebSpec`. */
export const webSpecSchema = z.strictObject({
  methods: z
    .array(z.enum(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]))
    .min(1)
    .max(7)
    .exactOptional(),
  path: z
    .string()
    .max(256)
    .regex(/^(\/|[A-Za-z0-9._~-]+(\/[A-Za-z0-9._~-]+)*)$/, {
      error: "a path is `/`, or parts of letters, digits, `-._~` with `/` between them",
    })
    .refine((path) => !path.split("/").some((part) => part === "." || part === ".."), {
      error: "a path has no part `.` or `..`",
    })
    .exactOptional(),
  requiresToken: z.boolean().exactOptional(),
  answerWithinMs: z.int().min(1_000).max(600_000).exactOptional(),
  port: z.int().min(1).max(65_535).exactOptional(),
  tunnels: z.boolean().exactOptional(),
}) satisfies z.ZodType<WebSpec>;
