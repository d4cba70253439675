/** Nodes with their bills, and plans, in SQLite. */
import { MS_PER_HOUR, type Node } from "../../../core/index.ts";
import type { NodeLedger, PlanLog, StoredNode, StoredPlan, UsageTotals } from "../record-store.ts";
import type { Database } from "./database.ts";
import { count, text, type Row } from "./row.ts";

/** Plans kept; older ones go. */
const PLANS_KEPT = 1_000;

export class SqliteNodes implements NodeLedger {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async put(...nodes: readonly StoredNode[]): Promise<void> {
    await this.#db.write(() => {
      for (const stored of nodes) this.#put(stored);
    });
  }

  async get(nodeId: string): Promise<StoredNode | undefined> {
    const row = this.#db.get("SELECT * FROM nodes WHERE node_id = ?", nodeId);
    return Promise.resolve(row === undefined ? undefined : nodeOf(row));
  }

  async listOpen(): Promise<readonly StoredNode[]> {
    const rows = this.#db.all(
      "SELECT * FROM nodes WHERE terminated_at_ms IS NULL ORDER BY requested_at_ms, node_id",
    );
    return Promise.resolve(rows.map(nodeOf));
  }

  async addGpuUse(nodeId: string, gpuMs: number): Promise<void> {
    await this.#db.write(() =>
      this.#db.run(
        "UPDATE nodes SET gpu_ms_used = gpu_ms_used + ? WHERE node_id = ?",
        gpuMs,
        nodeId,
      ),
    );
  }

  #put(stored: StoredNode): void {
    const { node, batch, standsInFor, joinedAtMs } = stored;
    const parts: RentParts = {
      ...(batch === undefined ? {} : { batch }),
      ...(standsInFor === undefined ? {} : { standsInFor }),
      ...(joinedAtMs === undefined ? {} : { joinedAtMs }),
    };
    const rent = Object.keys(parts).length === 0 ? null : JSON.stringify(parts);
    this.#db.run(
      `INSERT INTO nodes VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
       ON CONFLICT (node_id) DO UPDATE SET
         node = ?2, client_token = ?3, reason = ?4, gpu_count = ?5,
         price_micro_usd_per_hour = ?6, requested_at_ms = ?7, launched_at_ms = ?8,
         terminated_at_ms = ?9, gpu_ms_used = MAX(gpu_ms_used, ?10), rent = ?11`,
      node.nodeId,
      JSON.stringify(node),
      stored.clientToken,
      stored.reason,
      node.resources.gpuCount,
      node.priceMicroUsdPerHour,
      stored.requestedAtMs,
      stored.launchedAtMs ?? null,
      stored.terminatedAtMs ?? null,
      stored.gpuMsUsed,
      rent,
    );
  }

  async totals(nowMs: number): Promise<UsageTotals> {
    const row = this.#db.get(
      `WITH paid AS (
         SELECT gpu_count, gpu_ms_used, price_micro_usd_per_hour,
                MAX(0, COALESCE(terminated_at_ms, ?1) - launched_at_ms) AS paid_ms
         FROM nodes WHERE launched_at_ms IS NOT NULL)
       SELECT COALESCE(SUM(paid_ms * gpu_count), 0) AS gpu_ms_paid,
              COALESCE(SUM(gpu_ms_used), 0) AS gpu_ms_used,
              COALESCE(SUM(CAST(ROUND(1.0 * paid_ms * price_micro_usd_per_hour / ?2) AS INTEGER)),
                       0) AS cost
       FROM paid`,
      nowMs,
      MS_PER_HOUR,
    );
    const totals = row ?? {};
    return Promise.resolve({
      gpuMsPaid: count(totals, "gpu_ms_paid"),
      gpuMsUsed: count(totals, "gpu_ms_used"),
      costMicroUsd: count(totals, "cost"),
    });
  }
}

export class SqlitePlans implements PlanLog {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async append(plan: StoredPlan): Promise<void> {
    await this.#db.write(() => {
      const position = this.#db.insert(
        "INSERT INTO plans (plan_id, at_ms, plan) VALUES (?, ?, ?)",
        plan.planId,
        plan.atMs,
        JSON.stringify(plan.plan),
      );
      this.#db.run("DELETE FROM plans WHERE position <= ?", position - PLANS_KEPT);
    });
  }

  async latest(): Promise<StoredPlan | undefined> {
    const row = this.#db.get("SELECT * FROM plans ORDER BY position DESC LIMIT 1");
    if (row === undefined) return Promise.resolve(undefined);
    const plan: unknown = JSON.parse(text(row, "plan"));
    return Promise.resolve({ planId: text(row, "plan_id"), atMs: count(row, "at_ms"), plan });
  }
}

/** What is kept of a node's rent, as JSON. */
type RentParts = Pick<StoredNode, "batch" | "standsInFor" | "joinedAtMs">;

function nodeOf(row: Row): StoredNode {
  const { launched_at_ms: launchedAtMs, terminated_at_ms: terminatedAtMs, rent } = row;
  return {
    ...(typeof rent === "string" ? (JSON.parse(rent) as RentParts) : {}),
    node: JSON.parse(text(row, "node")) as Node,
    clientToken: text(row, "client_token"),
    reason: text(row, "reason"),
    requestedAtMs: count(row, "requested_at_ms"),
    gpuMsUsed: count(row, "gpu_ms_used"),
    ...(typeof launchedAtMs === "number" ? { launchedAtMs } : {}),
    ...(typeof terminatedAtMs === "number" ? { terminatedAtMs } : {}),
  };
}
