/** Events of the pool in SQLite, the newest ones. */
import {
  POOL_EVENTS_KEPT,
  POOL_EVENTS_KEPT_MS,
  type NewPoolEvent,
  type PoolEventLog,
  type PoolEventQuery,
  type StoredPoolEvent,
} from "../record-store.ts";
import type { Database } from "./database.ts";
import { count, text, type Row } from "./row.ts";

const NO_SEQUENCE = Number.MAX_SAFE_INTEGER;

export class SqlitePoolEvents implements PoolEventLog {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async append(events: readonly NewPoolEvent[]): Promise<void> {
    await this.#db.write(() => {
      let last = 0;
      let newestMs = 0;
      for (const event of events) {
        newestMs = Math.max(newestMs, event.atMs);
        last = this.#db.insert(
          `INSERT INTO pool_events (at_ms, kind, node_id, cloud, offer_id, provider_node_id, reason)
           VALUES (?, ?, ?, ?, ?, ?, ?)`,
          event.atMs,
          event.kind,
          event.nodeId ?? null,
          event.cloud ?? null,
          event.offerId ?? null,
          event.providerNodeId ?? null,
          event.reason,
        );
      }
      if (events.length === 0) return;
      this.#db.run("DELETE FROM pool_events WHERE sequence <= ?", last - POOL_EVENTS_KEPT);
      this.#db.run("DELETE FROM pool_events WHERE at_ms < ?", newestMs - POOL_EVENTS_KEPT_MS);
    });
  }

  async list(query: PoolEventQuery): Promise<readonly StoredPoolEvent[]> {
    const { nodeId, beforeSequence = NO_SEQUENCE, limit } = query;
    const rows =
      nodeId === undefined
        ? this.#db.all(
            "SELECT * FROM pool_events WHERE sequence < ? ORDER BY sequence DESC LIMIT ?",
            beforeSequence,
            limit,
          )
        : this.#db.all(
            `SELECT * FROM pool_events WHERE node_id = ? AND sequence < ?
             ORDER BY sequence DESC LIMIT ?`,
            nodeId,
            beforeSequence,
            limit,
          );
    return Promise.resolve(rows.map(eventOf));
  }
}

function eventOf(row: Row): StoredPoolEvent {
  const optional = (field: string, column: string): Record<string, string> => {
    const value = row[column];
    return typeof value === "string" ? { [field]: value } : {};
  };
  return {
    sequence: count(row, "sequence"),
    atMs: count(row, "at_ms"),
    kind: text(row, "kind"),
    reason: text(row, "reason"),
    ...optional("nodeId", "node_id"),
    ...optional("cloud", "cloud"),
    ...optional("offerId", "offer_id"),
    ...optional("providerNodeId", "provider_node_id"),
  };
}
