/** The shapes of usage and quotas as schemas. */
import { z } from "zod";
import type {
  QuotaReport,
  QuotaUpdate,
  UsageFigures,
  UsageRates,
  UsageReport,
  UsageRow,
  WorkspaceQuotas,
} from "../../sdk/protocol/index.ts";

const count = z.int().min(0);
const containers = z.int().min(0).max(1_000_000);
const gpus = z.number().min(0).max(1_000_000);
/** A billion dollars. */
const microUsd = z.int().min(0).max(1_000_000_000_000_000);

const quotasSchema = z.object({
  containersMax: containers.exactOptional(),
  gpusMax: gpus.exactOptional(),
  microUsdPerMonthMax: microUsd.exactOptional(),
  freeMicroUsdPerMonth: microUsd.exactOptional(),
}) satisfies z.ZodType<WorkspaceQuotas>;

export const quotaUpdateSchema = z.strictObject({
  containersMax: containers.nullable().exactOptional(),
  gpusMax: gpus.nullable().exactOptional(),
  microUsdPerMonthMax: microUsd.nullable().exactOptional(),
  freeMicroUsdPerMonth: microUsd.nullable().exactOptional(),
}) satisfies z.ZodType<QuotaUpdate>;

export const quotaReportSchema = z.object({
  quotas: quotasSchema,
  containers: count,
  gpus: z.number().min(0),
  monthStartMs: count,
  usedMicroUsd: count,
  freeMicroUsd: count,
  owedMicroUsd: count,
  warnings: z.array(z.string()),
}) satisfies z.ZodType<QuotaReport>;

const figures = {
  containerMs: count,
  cpuMs: count,
  memoryMiBSeconds: count,
  gpuMsByType: z.record(z.string(), count),
  cpuMicroUsd: count,
  memoryMicroUsd: count,
  gpuMicroUsd: count,
  microUsd: count,
};
const figuresSchema = z.object(figures) satisfies z.ZodType<UsageFigures>;
const rowSchema = z.object({ key: z.string(), ...figures }) satisfies z.ZodType<UsageRow>;

const ratesSchema = z.object({
  source: z.string(),
  asOf: z.string(),
  cpuMicroUsdPerCoreHour: count,
  memoryMicroUsdPerGiBHour: count,
  gpuMicroUsdPerHour: z.record(z.string(), count),
}) satisfies z.ZodType<UsageRates>;

export const usageReportSchema = z.object({
  sinceMs: count,
  untilMs: count,
  by: z.string(),
  rows: z.array(rowSchema),
  total: figuresSchema,
  rates: ratesSchema,
  month: quotaReportSchema,
}) satisfies z.ZodType<UsageReport>;

/** The shapes under the names that they have in the OpenAPI document. */
const NAMED: Readonly<Record<string, z.ZodType>> = {
  QuotaReport: quotaReportSchema,
  QuotaUpdate: quotaUpdateSchema,
  UsageReport: usageReportSchema,
};
for (const [id, schema] of Object.entries(NAMED)) z.globalRegistry.add(schema, { id });
