/** What containers cost: an operator's own table, or one made of the catalog. */
import { readFileSync } from "node:fs";
import { z } from "zod";
import { GPU_TYPES, isGpuType, messageOf, PlatformError } from "../../core/index.ts";
import { catalogOffers } from "../../providers/index.ts";
import type { UsageRates } from "../../sdk/protocol/index.ts";
import { explainIssues } from "../apps/explain-issues.ts";
import type { UnitRates } from "./cost.ts";

/**
 * Per core and GiB, as serverless platforms ask for them: $0.0000131 a core-second and
 * $0.00000222 a GiB-second (modal.com/pricing, as cited in 2026).
 */
const CPU_MICRO_USD_PER_CORE_HOUR = 47_160;
const MEMORY_MICRO_USD_PER_GIB_HOUR = 7_992;
/** The latest price table that the built-in catalog is made of (providers/catalog/offers.ts). */
const CATALOG_AS_OF = "2026-05-20";

const microUsd = z.int().min(0).max(1_000_000_000_000);

/** A file of rates. */
const ratesSchema = z.strictObject({
  source: z.string().min(1).max(200),
  asOf: z.iso.date(),
  cpuMicroUsdPerCoreHour: microUsd,
  memoryMicroUsdPerGiBHour: microUsd,
  gpuMicroUsdPerHour: z.record(
    z.string().refine(isGpuType, { error: `no GPU; there are ${GPU_TYPES.join(", ")}` }),
    microUsd,
  ),
}) satisfies z.ZodType<UsageRates>;

/** For each GPU the cheapest way to rent one on demand, its machine included. */
export function catalogRates(): UsageRates {
  const gpuMicroUsdPerHour: Record<string, number> = {};
  const offers = (["aws", "gcp", "azure"] as const).flatMap((cloud) =>
    catalogOffers({ cloud, emulated: false }),
  );
  for (const { gpuType, purchase, resources, priceMicroUsdPerHour } of offers) {
    if (gpuType === undefined || purchase !== "on-demand" || resources.gpuCount === 0) continue;
    const each = Math.ceil(priceMicroUsdPerHour / resources.gpuCount);
    gpuMicroUsdPerHour[gpuType] = Math.min(each, gpuMicroUsdPerHour[gpuType] ?? Infinity);
  }
  return {
    source: "the cheapest on-demand price of each GPU in the built-in catalog",
    asOf: CATALOG_AS_OF,
    cpuMicroUsdPerCoreHour: CPU_MICRO_USD_PER_CORE_HOUR,
    memoryMicroUsdPerGiBHour: MEMORY_MICRO_USD_PER_GIB_HOUR,
    gpuMicroUsdPerHour,
  };
}

/** @throws PlatformError `invalid_request` that names the file and what is wrong in it. */
export function readRates(path: string): UsageRates {
  const refuse = (reason: string, cause?: unknown): PlatformError =>
    new PlatformError(`the rates in ${path} cannot be used: ${reason}; see docs/usage.md`, {
      code: "invalid_request",
      retryable: false,
      cause,
    });
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    throw refuse(messageOf(error), error);
  }
  const checked = ratesSchema.safeParse(value);
  if (!checked.success) throw refuse(explainIssues("rates", checked.error.issues));
  const missing = GPU_TYPES.filter((type) => !Object.hasOwn(checked.data.gpuMicroUsdPerHour, type));
  if (missing.length > 0) throw refuse(`gpuMicroUsdPerHour lacks ${missing.join(", ")}`);
  return checked.data;
}

/** The prices of a container with GPUs of this type. */
export function unitRatesOf(rates: UsageRates, gpuType: string | undefined): UnitRates {
  const { cpuMicroUsdPerCoreHour, memoryMicroUsdPerGiBHour, gpuMicroUsdPerHour } = rates;
  return {
    cpuMicroUsdPerCoreHour,
    memoryMicroUsdPerGiBHour,
    gpuMicroUsdPerHour: gpuType === undefined ? 0 : (gpuMicroUsdPerHour[gpuType] ?? 0),
  };
}
