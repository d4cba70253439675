/** Checks that what was read has the layout that its reader knows. */
import type { z } from "zod";
import { PlatformError } from "../../core/index.ts";

/** The value as the schema has it. @throws PlatformError `unavailable` that says where it differs */
export function inLayout<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  what: string,
): z.infer<Schema> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const place = issue?.path.join(".") ?? "";
  const where = `${place === "" ? "the whole" : place}: ${issue?.message ?? "unknown"}`;
  throw new PlatformError(
    `${what} has a layout that this version cannot read (${where}); a newer version may`,
    { code: "unavailable", retryable: false },
  );
}
