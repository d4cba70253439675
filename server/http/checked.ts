import type { z } from "zod";
import { PlatformError } from "../../core/index.ts";
import { explainIssues } from "../apps/explain-issues.ts";

/**
 * `value` as the schema has it.
 *
 * @param where What the value is, for the message: `frame header`.
 * @throws PlatformError `invalid_request` that names every wrong field.
 */
export function checked<Output>(schema: z.ZodType<Output>, value: unknown, where: string): Output {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new PlatformError(explainIssues(where, result.error.issues), {
    code: "invalid_request",
    retryable: false,
  });
}
