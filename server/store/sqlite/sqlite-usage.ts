/** Usage and quotas in SQLite. */
import type { WorkspaceQuotas } from "../../../sdk/protocol/index.ts";
import {
  amountsOf,
  costOf,
  extraAmountsOf,
  largerOf,
  NO_EXTRA,
  type ExtraUse,
  type UnitRates,
  type UsageAmounts,
} from "../../usage/cost.ts";
import { hourOfTime, hoursOf, monthEndOf, monthStartOf } from "../../usage/periods.ts";
import { quotaRefusal, type WorkspaceUse } from "../../usage/quotas.ts";
import type {
  ContainerExtraUse,
  OpenSpan,
  SpanOutcome,
  UsageHour,
  UsageSpan,
  UsageStore,
} from "../usage-store.ts";
import type { Database } from "./database.ts";
import { count, text, type Row } from "./row.ts";

/** A lost span has come as far as was known when it was lost, another as far as its server. */
const OPEN = `SELECT usage_spans.*, max(started_at_ms, coalesce(lost_at_ms, at_ms, 0)) AS until_ms
  FROM usage_spans LEFT JOIN usage_clocks USING (server_id)`;

export class SqliteUsage implements UsageStore {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async open(span: UsageSpan): Promise<SpanOutcome> {
    return this.#db.write((): SpanOutcome => {
      const { workspaceId, gpuMilli, startedAtMs } = span;
      if (this.#find(span.containerId) !== undefined) return { kind: "opened" };
      const use = this.#useOf(workspaceId, startedAtMs);
      const reason = quotaRefusal(this.#quotas(workspaceId), use, gpuMilli);
      if (reason !== undefined) return { kind: "refused", reason };
      this.#insert(span, NO_EXTRA);
      return { kind: "opened" };
    });
  }

  async resume(span: UsageSpan): Promise<void> {
    await this.#db.write(() => {
      const sql = `UPDATE usage_spans SET lost_at_ms = NULL, server_id = ?, node_id = ?
        WHERE container_id = ?`;
      if (this.#db.run(sql, span.serverId, span.nodeId, span.containerId) === 0) this.#insert(span);
    });
  }

  async used(uses: readonly ContainerExtraUse[], nowMs: number): Promise<void> {
    await this.#db.write(() => {
      for (const use of uses) this.#countExtra(use, nowMs);
    });
  }

  async end(containerId: string, endedAtMs: number): Promise<void> {
    await this.#db.write(() => {
      const row = this.#find(containerId);
      if (row === undefined) return;
      const span = openSpanOf(row);
      for (const { hourMs, fromMs, toMs } of hoursOf(span.startedAtMs, endedAtMs)) {
        this.#count(span, hourMs, amountsOf(span, fromMs, toMs));
      }
      this.#delete(containerId);
    });
  }

  async cancel(containerId: string): Promise<void> {
    await this.#db.write(() => this.#delete(containerId));
  }

  async beat(serverId: string, nowMs: number): Promise<void> {
    await this.#db.write(() =>
      this.#db.run(
        `INSERT INTO usage_clocks VALUES (?1, ?2)
         ON CONFLICT DO UPDATE SET at_ms = max(at_ms, ?2)`,
        serverId,
        nowMs,
      ),
    );
  }

  async loseOf(serverId: string): Promise<void> {
    await this.#db.write(() =>
      this.#db.run(
        `UPDATE usage_spans SET lost_at_ms = max(started_at_ms,
           coalesce((SELECT at_ms FROM usage_clocks WHERE server_id = ?1), 0))
         WHERE server_id = ?1 AND lost_at_ms IS NULL`,
        serverId,
      ),
    );
  }

  listOpen(workspaceId?: string): Promise<readonly OpenSpan[]> {
    const where = "WHERE workspace_id = coalesce(?, workspace_id) ORDER BY container_id";
    return Promise.resolve(
      this.#db.all(`${OPEN} ${where}`, workspaceId ?? null).map((row) => openSpanOf(row)),
    );
  }

  hours(workspaceId: string, sinceMs: number, untilMs: number): Promise<readonly UsageHour[]> {
    const rows = this.#db.all(
      `SELECT * FROM usage_hours WHERE workspace_id = ? AND hour_ms >= ? AND hour_ms < ?
       ORDER BY hour_ms, app, name, tags, gpu_type`,
      workspaceId,
      sinceMs,
      untilMs,
    );
    return Promise.resolve(rows.map(hourOf));
  }

  useOf(workspaceId: string, nowMs: number): Promise<WorkspaceUse> {
    return Promise.resolve(this.#useOf(workspaceId, nowMs));
  }

  quotas(workspaceId: string): Promise<WorkspaceQuotas> {
    return Promise.resolve(this.#quotas(workspaceId));
  }

  async setQuotas(workspaceId: string, quotas: WorkspaceQuotas): Promise<void> {
    await this.#db.write(() => {
      const sql = "UPDATE workspaces SET quotas = ? WHERE workspace_id = ?";
      this.#db.run(sql, JSON.stringify(quotas), workspaceId);
    });
  }

  #countExtra({ containerId, ...use }: ContainerExtraUse, nowMs: number): void {
    const row = this.#find(containerId);
    if (row === undefined) return;
    const [span, before] = [openSpanOf(row), extraOf(row)];
    const after = before === undefined ? use : largerOf(before, use);
    this.#db.run(
      `UPDATE usage_spans SET extra_cpu_ms = ?, extra_memory_mib_s = ? WHERE container_id = ?`,
      after.cpuMs,
      after.memoryMiBSeconds,
      containerId,
    );
    if (before === undefined) return;
    const hourMs = hourOfTime(Math.max(nowMs, span.startedAtMs));
    this.#count(span, hourMs, extraAmountsOf(span.rates, before, after));
  }

  #count(span: UsageSpan, hourMs: number, amounts: UsageAmounts): void {
    this.#addHour(span, hourMs, amounts);
    this.#db.run(
      `INSERT INTO usage_months VALUES (?1, ?2, ?3)
       ON CONFLICT DO UPDATE SET micro_usd = micro_usd + ?3`,
      span.workspaceId,
      monthStartOf(hourMs),
      costOf(amounts),
    );
  }

  #find(containerId: string): Row | undefined {
    return this.#db.get(`${OPEN} WHERE container_id = ?`, containerId);
  }

  #delete(containerId: string): void {
    this.#db.run("DELETE FROM usage_spans WHERE container_id = ?", containerId);
  }

  #quotas(workspaceId: string): WorkspaceQuotas {
    const row = this.#db.get("SELECT quotas FROM workspaces WHERE workspace_id = ?", workspaceId);
    const quotas = row?.["quotas"];
    return typeof quotas === "string" ? (JSON.parse(quotas) as WorkspaceQuotas) : {};
  }

  #useOf(workspaceId: string, nowMs: number): WorkspaceUse {
    const monthMs = monthStartOf(nowMs);
    const month = this.#db.get(
      "SELECT micro_usd FROM usage_months WHERE workspace_id = ? AND month_ms = ?",
      workspaceId,
      monthMs,
    );
    const open = this.#db.all(`${OPEN} WHERE workspace_id = ?`, workspaceId).map(openSpanOf);
    const untilMs = monthEndOf(nowMs);
    return {
      containers: open.length,
      gpuMilli: open.reduce((sum, { gpuMilli }) => sum + gpuMilli, 0),
      monthMicroUsd: open.reduce(
        (sum, span) => sum + costOf(amountsOf(span, monthMs, Math.min(span.untilMs, untilMs))),
        month === undefined ? 0 : count(month, "micro_usd"),
      ),
    };
  }

  #insert(span: UsageSpan, extra?: ExtraUse): void {
    const { rates } = span;
    this.#db.run(
      `INSERT INTO usage_spans VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, ?, ?)`,
      span.containerId,
      span.workspaceId,
      span.app,
      span.functionName,
      tagsText(span.tags),
      span.gpuType ?? "",
      span.nodeId,
      span.serverId,
      span.startedAtMs,
      span.cpuMilli,
      span.memoryMiB,
      span.gpuMilli,
      rates.cpuMicroUsdPerCoreHour,
      rates.memoryMicroUsdPerGiBHour,
      rates.gpuMicroUsdPerHour,
      extra?.cpuMs ?? null,
      extra?.memoryMiBSeconds ?? null,
    );
  }

  #addHour(span: UsageSpan, hourMs: number, amounts: UsageAmounts): void {
    this.#db.run(
      `INSERT INTO usage_hours VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
       ON CONFLICT DO UPDATE SET container_ms = container_ms + ?7, cpu_ms = cpu_ms + ?8,
         memory_mib_s = memory_mib_s + ?9, gpu_ms = gpu_ms + ?10,
         cpu_micro_usd = cpu_micro_usd + ?11, memory_micro_usd = memory_micro_usd + ?12,
         gpu_micro_usd = gpu_micro_usd + ?13`,
      span.workspaceId,
      hourMs,
      span.app,
      span.functionName,
      tagsText(span.tags),
      span.gpuType ?? "",
      amounts.containerMs,
      amounts.cpuMs,
      amounts.memoryMiBSeconds,
      amounts.gpuMs,
      amounts.cpuMicroUsd,
      amounts.memoryMicroUsd,
      amounts.gpuMicroUsd,
    );
  }
}

/** Equal tags give equal texts. */
function tagsText(tags: Readonly<Record<string, string>>): string {
  return JSON.stringify(Object.entries(tags).sort(([one], [other]) => (one < other ? -1 : 1)));
}

function sharedOf(row: Row): Pick<UsageSpan, "app" | "functionName" | "tags" | "gpuType"> {
  const gpuType = text(row, "gpu_type");
  return {
    app: text(row, "app"),
    functionName: text(row, "name"),
    tags: Object.fromEntries(JSON.parse(text(row, "tags")) as readonly [string, string][]),
    ...(gpuType === "" ? {} : { gpuType }),
  };
}

function openSpanOf(row: Row): OpenSpan {
  return {
    ...sharedOf(row),
    containerId: text(row, "container_id"),
    workspaceId: text(row, "workspace_id"),
    nodeId: text(row, "node_id"),
    serverId: text(row, "server_id"),
    startedAtMs: count(row, "started_at_ms"),
    cpuMilli: count(row, "cpu_milli"),
    memoryMiB: count(row, "memory_mib"),
    gpuMilli: count(row, "gpu_milli"),
    rates: ratesOf(row),
    untilMs: count(row, "until_ms"),
    isLost: typeof row["lost_at_ms"] === "number",
  };
}

/** Undefined until it is known where the sums of its container begin. */
function extraOf(row: Row): ExtraUse | undefined {
  if (row["extra_cpu_ms"] === null) return undefined;
  return {
    cpuMs: count(row, "extra_cpu_ms"),
    memoryMiBSeconds: count(row, "extra_memory_mib_s"),
  };
}

function ratesOf(row: Row): UnitRates {
  return {
    cpuMicroUsdPerCoreHour: count(row, "cpu_rate"),
    memoryMicroUsdPerGiBHour: count(row, "memory_rate"),
    gpuMicroUsdPerHour: count(row, "gpu_rate"),
  };
}

function hourOf(row: Row): UsageHour {
  return {
    ...sharedOf(row),
    hourMs: count(row, "hour_ms"),
    containerMs: count(row, "container_ms"),
    cpuMs: count(row, "cpu_ms"),
    memoryMiBSeconds: count(row, "memory_mib_s"),
    gpuMs: count(row, "gpu_ms"),
    cpuMicroUsd: count(row, "cpu_micro_usd"),
    memoryMicroUsd: count(row, "memory_micro_usd"),
    gpuMicroUsd: count(row, "gpu_micro_usd"),
  };
}
