/** What workspaces use and may use, for those who ask. */
import { PlatformError, type Clock } from "../../core/index.ts";
import type {
  QuotaReport,
  QuotaUpdate,
  UsageRates,
  UsageReport,
  WorkspaceQuotas,
} from "../../sdk/protocol/index.ts";
import type { UsageQuery, UsageService } from "../services.ts";
import type { RecordStore } from "../store/record-store.ts";
import { monthStartOf } from "./periods.ts";
import { quotaWarnings } from "./quotas.ts";
import { figuresOf, fullHours, hoursOfOpen, usageRows } from "./usage-report.ts";

export interface UsageServiceOptions {
  readonly store: Pick<RecordStore, "usage" | "workspaces">;
  readonly clock: Pick<Clock, "nowMs">;
  readonly rates: UsageRates;
  /** Quotas were changed: this server heeds them from now on. */
  readonly onQuotasChanged: () => Promise<void>;
}

/** Usage over the record store. */
export function createUsageService({
  store,
  clock,
  rates,
  onQuotasChanged,
}: UsageServiceOptions): UsageService {
  const quotaReport = async (workspaceId: string): Promise<QuotaReport> => {
    const nowMs = clock.nowMs();
    const quotas = await store.usage.quotas(workspaceId);
    const use = await store.usage.useOf(workspaceId, nowMs);
    const { monthMicroUsd: usedMicroUsd } = use;
    const freeMicroUsd = Math.min(usedMicroUsd, quotas.freeMicroUsdPerMonth ?? 0);
    return {
      quotas,
      containers: use.containers,
      gpus: use.gpuMilli / 1_000,
      monthStartMs: monthStartOf(nowMs),
      usedMicroUsd,
      freeMicroUsd,
      owedMicroUsd: usedMicroUsd - freeMicroUsd,
      warnings: quotaWarnings(quotas, use),
    };
  };
  return {
    report: async ({ workspaceId }, query): Promise<UsageReport> => {
      const { sinceMs, untilMs } = spanOf(query, clock.nowMs());
      const ended = await store.usage.hours(workspaceId, sinceMs, untilMs);
      const open = await store.usage.listOpen(workspaceId);
      const hours = [...ended, ...hoursOfOpen(open, sinceMs, untilMs)];
      const { by } = query;
      return {
        sinceMs,
        untilMs,
        by: by.kind === "tag" ? `tag:${by.tag}` : by.kind,
        rows: usageRows(hours, by),
        total: figuresOf(hours),
        rates,
        month: await quotaReport(workspaceId),
      };
    },

    setQuotas: async (name, update): Promise<QuotaReport> => {
      const found = await store.workspaces.find(name);
      if (found === undefined) {
        const message = `there is no workspace ${name}`;
        throw new PlatformError(message, { code: "not_found", retryable: false });
      }
      const before = await store.usage.quotas(found.workspaceId);
      await store.usage.setQuotas(found.workspaceId, updated(before, update));
      await onQuotasChanged();
      return quotaReport(found.workspaceId);
    },
  };
}

function spanOf(
  { sinceMs, untilMs }: UsageQuery,
  nowMs: number,
): { readonly sinceMs: number; readonly untilMs: number } {
  const span = fullHours(sinceMs ?? monthStartOf(nowMs), untilMs ?? nowMs);
  if (span.sinceMs < span.untilMs) return span;
  const message = "query: since must be before until (which is now, unless given)";
  throw new PlatformError(message, { code: "invalid_request", retryable: false });
}

function updated(before: WorkspaceQuotas, update: QuotaUpdate): WorkspaceQuotas {
  const after = Object.entries({ ...before, ...update }).filter(([, value]) => value !== null);
  return Object.fromEntries(after);
}
