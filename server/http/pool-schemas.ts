/** The shapes of `/v1/pool` and `/v1/clouds` as schemas. */
import { z } from "zod";
import type {
  CloudCheck,
  CloudReport,
  OrderReport,
  PoolEventReport,
  PoolStatus,
} from "../fleet/pool-report.ts";
import type { NewOrder } from "../services.ts";

const count = z.int().min(0);
const usd = z.number().min(0);

export const poolStatusSchema = z.object({
  atMs: z.number(),
  leads: z.boolean().meta({ description: "Whether this server keeps the pool." }),
  leader: z.string().exactOptional(),
  nodes: z.record(z.string(), count).meta({ description: "Rented nodes by state." }),
  wantedNodes: count,
  spend: z.object({
    usdPerHour: usd,
    budgetUsdPerHour: usd.exactOptional(),
    todayUsd: usd,
    monthUsd: usd,
    forecastUsd: usd,
    budgetUsdPerMonth: usd.exactOptional(),
  }),
  unreachableClouds: z.array(z.string()),
  unseen: z
    .array(
      z.object({
        cloud: z.string(),
        region: z.string(),
        zone: z.string().exactOptional(),
        sinceMs: z.number(),
        reason: z.string(),
      }),
    )
    .meta({ description: "Regions and zones that could not be listed though their cloud could." }),
  refusals: z.array(z.object({ key: z.string(), reason: z.string(), untilMs: z.number(), count })),
  strays: z.array(
    z.object({ cloud: z.string(), providerNodeId: z.string(), launchedAtMs: z.number() }),
  ),
  unclaimed: z
    .array(
      z.object({
        cloud: z.string(),
        surveyedAtMs: z.number(),
        machines: z.array(
          z.object({
            providerNodeId: z.string(),
            kind: z.enum(["lost", "serving", "marked"]),
            reason: z.string(),
          }),
        ),
        bareCount: count,
        bareExamples: z.array(z.string()),
      }),
    )
    .meta({ description: "Machines of the accounts that carry no cluster's tag." }),
  unfit: z.array(z.object({ nodeId: z.string(), fault: z.string() })),
  isRepairHalted: z.boolean(),
}) satisfies z.ZodType<PoolStatus>;

export const poolEventSchema = z.object({
  sequence: count,
  atMs: z.number(),
  kind: z.string(),
  nodeId: z.string().exactOptional(),
  cloud: z.string().exactOptional(),
  offerId: z.string().exactOptional(),
  providerNodeId: z.string().exactOptional(),
  reason: z.string(),
}) satisfies z.ZodType<PoolEventReport>;

const DEADLINE_MS_MAX = 7 * 24 * 3_600_000;
const REASON_CHARACTERS_MAX = 500;

/** The body of an order; what does not belong to its kind is refused. */
export const orderBodySchema = z.strictObject({
  deadlineMs: z.int().min(0).max(DEADLINE_MS_MAX).exactOptional(),
  evenIfBusy: z.boolean().exactOptional(),
  reason: z.string().min(1).max(REASON_CHARACTERS_MAX).exactOptional(),
}) satisfies z.ZodType<Omit<NewOrder, "kind">>;

export const orderReportSchema = z.object({
  nodeId: z.string(),
  state: z.string(),
  isChanged: z.boolean(),
  containers: count,
}) satisfies z.ZodType<OrderReport>;

export const cloudReportSchema = z.object({
  cloud: z.string(),
  isReachable: z.boolean(),
  offers: count,
  nodes: count,
  usdPerHour: usd,
}) satisfies z.ZodType<CloudReport>;

export const cloudCheckSchema = z.object({
  cloud: z.string(),
  isGood: z.boolean(),
  steps: z.array(z.object({ step: z.string(), isGood: z.boolean(), detail: z.string() })),
}) satisfies z.ZodType<CloudCheck>;
