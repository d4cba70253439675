/** Nodes with their bills, and plans, in SQLite. */
import { MS_PER_HOUR, type MicroUsd, type Node } from "../../../core/index.ts";
import type { MachineTraces } from "../../../pool/index.ts";
import type {
  Fence,
  NodeLedger,
  PlanLog,
  StoredNode,
  StoredPlan,
  UsageTotals,
} from "../record-store.ts";
import type { Database } from "./database.ts";
import { count, text, type Row } from "./row.ts";
import { checkFence } from "./sqlite-fences.ts";

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

  async putFenced(fence: Fence, ...nodes: readonly StoredNode[]): Promise<void> {
    await this.#db.write(() => {
      checkFence(this.#db, fence);
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

  async findByMachine(traces: MachineTraces): Promise<readonly StoredNode[]> {
    const { providerNodeIds, nodeIds, clientTokens } = traces;
    const rows = this.#db.all(
      `SELECT * FROM nodes WHERE node_id IN (
         SELECT node_id FROM nodes WHERE node_id IN (SELECT value FROM json_each(?1))
         UNION SELECT node_id FROM nodes WHERE client_token IN (SELECT value FROM json_each(?2))
         UNION SELECT node_id FROM nodes
               WHERE node ->> '$.providerNodeId' IN (SELECT value FROM json_each(?3)))
       ORDER BY requested_at_ms, node_id`,
      JSON.stringify(nodeIds),
      JSON.stringify(clientTokens),
      JSON.stringify(providerNodeIds),
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
    const { node, batch, joinedAtMs, drainByMs } = stored;
    const parts: RentParts = {
      ...(batch === undefined ? {} : { batch }),
      ...(joinedAtMs === undefined ? {} : { joinedAtMs }),
      ...(drainByMs === undefined ? {} : { drainByMs }),
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

  async spend(fromMs: number, toMs: number): Promise<MicroUsd> {
    // Only nodes that were billed in that time differ; the others need not be added up.
    const row = this.#db.get(
      `SELECT COALESCE(SUM(
                CAST(ROUND(1.0 * MAX(0, MIN(COALESCE(terminated_at_ms, ?2), ?2) - launched_at_ms)
                           * price_micro_usd_per_hour / ?3) AS INTEGER)
              - CAST(ROUND(1.0 * MAX(0, MIN(COALESCE(terminated_at_ms, ?1), ?1) - launched_at_ms)
                           * price_micro_usd_per_hour / ?3) AS INTEGER)), 0) AS cost
       FROM nodes
       WHERE launched_at_ms < ?2 AND COALESCE(terminated_at_ms, ?2) > ?1`,
      fromMs,
      Math.max(fromMs, toMs),
      MS_PER_HOUR,
    );
    return Promise.resolve(count(row ?? {}, "cost"));
  }

  async firstLaunchedAtMs(): Promise<number | undefined> {
    const row = this.#db.get("SELECT MIN(launched_at_ms) AS first FROM nodes");
    const first = row?.["first"];
    return Promise.resolve(typeof first === "number" ? first : undefined);
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
type RentParts = Pick<StoredNode, "batch" | "joinedAtMs" | "drainByMs">;

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
