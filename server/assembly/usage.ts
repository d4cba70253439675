/** The meter of containers, and what is told of it. */
import { hostname } from "node:os";
import type { Logger } from "pino";
import type { PlatformConfig } from "../config.ts";
import type { UsageService } from "../services.ts";
import { catalogRates, readRates } from "../usage/rates.ts";
import { UsageMeter } from "../usage/usage-meter.ts";
import { createUsageService } from "../usage/usage-service.ts";
import type { Foundations } from "./foundations.ts";

/** Counts what containers use, and tells of it. */
export function openUsage(
  { dataDir, ratesFile }: PlatformConfig,
  foundations: Foundations,
  logger: Logger,
): { readonly meter: UsageMeter; readonly usage: UsageService } {
  const rates = ratesFile === undefined ? catalogRates() : readRates(ratesFile);
  const meter = new UsageMeter({
    ...foundations,
    rates,
    serverId: `${hostname()}:${dataDir}`,
    onNear: (workspaceId, warning) => logger.warn({ workspaceId }, warning),
  });
  const onQuotasChanged = (): Promise<void> => meter.readAccounts();
  return { meter, usage: createUsageService({ ...foundations, rates, onQuotasChanged }) };
}
