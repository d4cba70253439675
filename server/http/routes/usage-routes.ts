/** `/v1/usage` and quotas of workspaces. */
import { z } from "zod";
import { PlatformError } from "../../../core/index.ts";
import type { QuotaReport, UsageReport } from "../../../sdk/protocol/index.ts";
import {
  quotaReportSchema,
  quotaUpdateSchema,
  usageReportSchema,
} from "../../usage/usage-schema.ts";
import type { UsageKey } from "../../usage/usage-report.ts";
import { workspaceNameSchema } from "../../workspaces/workspace-schema.ts";
import { principalOf } from "../authorize.ts";
import { answers, json } from "../documented.ts";
import type { ApiServer, RouteDeps } from "../route-deps.ts";

const tags = ["workspaces"];
/** Up to the year 2100, so that hours of it can be counted. */
const timeMs = z.coerce.number().int().min(0).max(4_102_444_800_000);
const query = z.strictObject({
  since: timeMs.exactOptional().meta({ description: "In ms; this month without it." }),
  until: timeMs.exactOptional().meta({ description: "In ms; now without it." }),
  by: z.enum(["app", "function", "tag", "day"]).default("app"),
  tag: z.string().min(1).max(64).exactOptional().meta({ description: "Its name, with by=tag." }),
});

export function usageRoutes(app: ApiServer, { services: { usage } }: RouteDeps): void {
  app.get(
    "/v1/usage",
    {
      schema: {
        operationId: "getUsage",
        summary: "What the workspace used, in full hours of UTC, and its quotas",
        description: "The sums of the rows are the total, exactly. What still runs is included.",
        tags,
        querystring: query,
        response: answers({ 200: json(usageReportSchema, "The usage.") }),
      },
    },
    async (request): Promise<UsageReport> => {
      const { since, until } = request.query;
      return usage.report(principalOf(request), {
        by: keyOf(request.query),
        ...(since === undefined ? {} : { sinceMs: since }),
        ...(until === undefined ? {} : { untilMs: until }),
      });
    },
  );

  app.patch(
    "/v1/workspaces/:workspace/quotas",
    {
      schema: {
        operationId: "setQuotas",
        summary: "Change what a workspace may have; null takes a limit away",
        tags,
        params: z.object({ workspace: workspaceNameSchema }),
        body: quotaUpdateSchema,
        response: answers({ 200: json(quotaReportSchema, "The quotas.") }, 404, 413, 415),
      },
    },
    async (request): Promise<QuotaReport> =>
      usage.setQuotas(request.params.workspace, request.body),
  );
}

function keyOf({ by, tag }: z.output<typeof query>): UsageKey {
  if (by !== "tag" && tag === undefined) return { kind: by };
  if (by === "tag" && tag !== undefined) return { kind: by, tag };
  throw new PlatformError("query: by=tag and tag=NAME go together", {
    code: "invalid_request",
    retryable: false,
  });
}
