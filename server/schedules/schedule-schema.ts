/** What a schedule may say. */
import { z } from "zod";
import type { CronSchedule, Schedule } from "../../sdk/protocol/index.ts";
import { explainCron } from "./next-runs.ts";

const MS_PER_DAY = 86_400_000;
const graceMs = z.int().min(0).max(MS_PER_DAY).exactOptional();

const cronFields = z.strictObject({
  kind: z.literal("cron"),
  expression: z.string().min(1).max(200),
  timezone: z.string().min(1).max(64).exactOptional(),
  graceMs,
});

/** Any moment: whether an expression ever comes does not depend on it. */
const SOME_TIME_MS = Date.UTC(2026, 0, 1);

/** Checks a `Schedule`, the fields of a cron expression and the name of its time zone included. */
export const scheduleSchema = z.discriminatedUnion("kind", [
  cronFields.refine((schedule) => explainCron(schedule, SOME_TIME_MS) === undefined, {
    error: ({ input }) => explainCron(input as CronSchedule, SOME_TIME_MS),
  }),
  z.strictObject({
    kind: z.literal("period"),
    periodMs: z
      .int()
      .min(1_000)
      .max(365 * MS_PER_DAY),
    graceMs,
  }),
]) satisfies z.ZodType<Schedule>;
