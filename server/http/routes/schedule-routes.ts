/** `/v1/schedules`, and pausing and resuming the schedule of a function. */
import { z } from "zod";
import type { ScheduleInfo, ScheduleList } from "../../../sdk/protocol/index.ts";
import { appNameSchema, functionNameSchema } from "../../apps/deploy-schema.ts";
import { principalOf } from "../authorize.ts";
import { answers, json } from "../documented.ts";
import { pageOf, pageQuery } from "../paging.ts";
import type { ApiServer, RouteDeps } from "../route-deps.ts";
import { scheduleInfoSchema, scheduleListSchema } from "../schedule-schemas.ts";

const tags = ["schedules"];
const params = z.object({ app: appNameSchema, function: functionNameSchema });

export function scheduleRoutes(app: ApiServer, { services }: RouteDeps): void {
  const { schedules } = services;

  app.get(
    "/v1/schedules",
    {
      schema: {
        operationId: "listSchedules",
        summary: "Functions that are called by schedule: what comes, what was, what was missed",
        tags,
        querystring: z.strictObject({ app: appNameSchema.exactOptional(), ...pageQuery }),
        response: answers({ 200: json(scheduleListSchema, "A page, by app and function.") }),
      },
    },
    async (request): Promise<ScheduleList> => {
      const { app: ofApp, ...page } = request.query;
      const all = await schedules.list(principalOf(request), ofApp);
      // No name has a blank, and a blank comes before all that names have.
      const keyOf = (each: ScheduleInfo): string => `${each.app} ${each.function}`;
      const { items, next } = pageOf(all, keyOf, page);
      return { schedules: items, ...next };
    },
  );

  app.post(
    "/v1/apps/:app/functions/:function/schedule/pause",
    {
      schema: {
        operationId: "pauseSchedule",
        summary: "Stop calling a function by schedule, until it is resumed",
        description: "It holds over deployments. Pausing twice is no error.",
        tags,
        params,
        response: answers({ 200: json(scheduleInfoSchema, "It is paused.") }, 404, 409),
      },
    },
    async (request): Promise<ScheduleInfo> =>
      schedules.pause(principalOf(request), request.params.app, request.params.function),
  );

  app.post(
    "/v1/apps/:app/functions/:function/schedule/resume",
    {
      schema: {
        operationId: "resumeSchedule",
        summary: "Call a paused function by schedule again, from the next scheduled time on",
        description: "Times that passed while it was paused neither run nor count as missed.",
        tags,
        params,
        response: answers({ 200: json(scheduleInfoSchema, "It is active.") }, 404, 409),
      },
    },
    async (request): Promise<ScheduleInfo> =>
      schedules.resume(principalOf(request), request.params.app, request.params.function),
  );
}
