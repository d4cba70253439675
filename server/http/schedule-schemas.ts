/** The shapes of `sdk/protocol/schedule.ts` as schemas. */
import { z } from "zod";
import type { ScheduleInfo, ScheduleList } from "../../sdk/protocol/index.ts";
import { nextCursorSchema } from "./paging.ts";
import { scheduleSchema } from "../schedules/schedule-schema.ts";

const count = z.int().min(0);

export const scheduleInfoSchema = z.object({
  app: z.string(),
  function: z.string(),
  schedule: scheduleSchema,
  state: z.enum(["active", "paused"]),
  nextRunsAtMs: z.array(z.number()),
  lastRuns: z.array(
    z.object({
      dueAtMs: z.number(),
      state: z.enum(["starting", "running", "succeeded", "failed", "ended", "missed"]),
      callId: z.string().exactOptional(),
      missed: z.object({ count, firstDueAtMs: z.number(), reason: z.string() }).exactOptional(),
    }),
  ),
  missedCount: count,
}) satisfies z.ZodType<ScheduleInfo>;

export const scheduleListSchema = z.object({
  schedules: z.array(scheduleInfoSchema),
  nextCursor: nextCursorSchema,
}) satisfies z.ZodType<ScheduleList>;

z.globalRegistry.add(scheduleInfoSchema, { id: "ScheduleInfo" });
z.globalRegistry.add(scheduleListSchema, { id: "ScheduleList" });
