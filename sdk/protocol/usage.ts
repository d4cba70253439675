/** Usage and quotas of workspaces on the wire. Money is whole micro-dollars, times are of UTC. */

/** What a workspace may have; what is absent has no limit. */
export interface WorkspaceQuotas {
  /** Containers at once. */
  readonly containersMax?: number;
  /** GPUs at once, shares counted as such. */
  readonly gpusMax?: number;
  /** What it may use in a month beyond its free credit; then nothing new starts. */
  readonly microUsdPerMonthMax?: number;
  /** What it may use in a month for nothing. */
  readonly freeMicroUsdPerMonth?: number;
}

/** Changes quotas: what is `null` has no limit from then on, what is absent stays. */
export type QuotaUpdate = {
  readonly [Name in keyof WorkspaceQuotas]: NonNullable<WorkspaceQuotas[Name]> | null;
};

/** What was used; each a whole number, and sums equal their parts exactly. */
export interface UsageFigures {
  readonly containerMs: number;
  /** Core-milliseconds that were reserved, or used where that is more. */
  readonly cpuMs: number;
  /** MiB-seconds that were reserved, or used where that is more. */
  readonly memoryMiBSeconds: number;
  /** GPU-milliseconds by type, shares counted as such. */
  readonly gpuMsByType: Readonly<Record<string, number>>;
  readonly cpuMicroUsd: number;
  readonly memoryMicroUsd: number;
  readonly gpuMicroUsd: number;
  /** The sum of the three. */
  readonly microUsd: number;
}

export interface UsageRow extends UsageFigures {
  /** An app, `app/function`, a day such as `2026-01-31`, or a value of the tag; `-` without one. */
  readonly key: string;
}

/** Prices per hour. */
export interface UsageRates {
  /** Where they come from. */
  readonly source: string;
  /** The day of which they are, such as `2026-01-31`. */
  readonly asOf: string;
  readonly cpuMicroUsdPerCoreHour: number;
  readonly memoryMicroUsdPerGiBHour: number;
  readonly gpuMicroUsdPerHour: Readonly<Record<string, number>>;
}

export interface UsageReport {
  /** The full hours that it is of: `since` inclusive, `until` exclusive. */
  readonly sinceMs: number;
  readonly untilMs: number;
  /** What `key` is; of a tag `tag:NAME`. */
  readonly by: string;
  readonly rows: readonly UsageRow[];
  readonly total: UsageFigures;
  /** In force for containers that start now. */
  readonly rates: UsageRates;
  readonly month: QuotaReport;
}

/** A workspace against its quotas. */
export interface QuotaReport {
  readonly quotas: WorkspaceQuotas;
  readonly containers: number;
  readonly gpus: number;
  readonly monthStartMs: number;
  readonly usedMicroUsd: number;
  /** Of that, what its free credit pays. */
  readonly freeMicroUsd: number;
  readonly owedMicroUsd: number;
  /** Limits of which four fifths or more are used. */
  readonly warnings: readonly string[];
}
