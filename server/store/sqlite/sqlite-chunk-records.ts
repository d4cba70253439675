/** Leases and condemned chunks of one store of chunks, in SQLite. */
import {
  LeaseEndedError,
  type ChunkLeases,
  type ChunkRecords,
  type CondemnedChunks,
} from "../../../sandbox/index.ts";
import type { Database } from "./database.ts";
import { count, text } from "./row.ts";

/** Renewing one that has longer still is no write. */
const RENEWED_EVERY_MS = 60_000;
const AMONG = "chunk_id IN (SELECT value FROM json_each(?))";

/** The records of the store of this name. */
export function createSqliteChunkRecords(db: Database, store: string): ChunkRecords {
  return { leases: leasesOf(db, store), condemned: condemnedOf(db, store) };
}

/**
 * Refuses to name chunks as in use under a lease that has ended; to be called in the transaction
 * that names them.
 *
 * @throws LeaseEndedError
 */
export function checkChunkLease(db: Database, leaseId: string): void {
  const row = db.get("SELECT 1 FROM chunk_leases WHERE lease_id = ?", leaseId);
  if (row === undefined) throw new LeaseEndedError(leaseId);
}

function leasesOf(db: Database, store: string): ChunkLeases {
  const renew = (leaseId: string, untilMs: number): void => {
    const sql = "UPDATE chunk_leases SET until_ms = ?1 WHERE lease_id = ?2 AND until_ms < ?3";
    db.run(sql, untilMs, leaseId, untilMs - RENEWED_EVERY_MS);
  };
  return {
    begin: async (leaseId, untilMs) => {
      await db.write(() => {
        const sql =
          "INSERT INTO chunk_leases (lease_id, store, turn, until_ms) VALUES (?, ?, ?, ?)";
        db.run(sql, leaseId, store, nextTurn(db), untilMs);
      });
    },
    renew: async (leaseId, untilMs) =>
      db.write(() => {
        renew(leaseId, untilMs);
        return db.get("SELECT 1 FROM chunk_leases WHERE lease_id = ?", leaseId) !== undefined;
      }),
    claim: async (leaseId, ids, { nowMs, untilMs }) =>
      db.write(() => {
        checkChunkLease(db, leaseId);
        renew(leaseId, untilMs);
        const those = JSON.stringify(ids);
        const removing = db.all(
          `SELECT chunk_id FROM condemned_chunks
           WHERE store = ? AND removing_until_ms > ? AND ${AMONG}`,
          ...[store, nowMs, those],
        );
        db.run(
          `DELETE FROM condemned_chunks
           WHERE store = ? AND coalesce(removing_until_ms, 0) <= ? AND ${AMONG}`,
          ...[store, nowMs, those],
        );
        return removing.map((row) => text(row, "chunk_id"));
      }),
    end: async (leaseId) => {
      await db.write(() => {
        db.run("DELETE FROM chunk_leases WHERE lease_id = ?", leaseId);
      });
    },
  };
}

function condemnedOf(db: Database, store: string): CondemnedChunks {
  return {
    condemn: async (ids, nowMs) => {
      await db.write(() => {
        db.run(
          `INSERT INTO condemned_chunks (store, chunk_id, turn)
           SELECT ?1, value, ?2 FROM json_each(?3) WHERE TRUE
           ON CONFLICT DO UPDATE SET turn = ?2, removing_until_ms = NULL
           WHERE removing_until_ms <= ?4`,
          ...[store, nextTurn(db), JSON.stringify(ids), nowMs],
        );
      });
    },
    oldestTurn: async (nowMs) =>
      db.write(() => {
        db.run("DELETE FROM chunk_leases WHERE store = ? AND until_ms <= ?", store, nowMs);
        const sql =
          "SELECT min(turn) AS turn FROM chunk_leases WHERE store = ? HAVING count(*) > 0";
        const oldest = db.get(sql, store);
        return oldest === undefined ? nextTurn(db) : count(oldest, "turn");
      }),
    take: async (ids, { beforeTurn, untilMs }) =>
      db.write(() => {
        const free = `FROM condemned_chunks
          WHERE store = ? AND turn < ? AND removing_until_ms IS NULL AND ${AMONG}`;
        const rows = db.all(`SELECT chunk_id ${free}`, store, beforeTurn, JSON.stringify(ids));
        const taken = rows.map((row) => text(row, "chunk_id"));
        db.run(
          `UPDATE condemned_chunks SET removing_until_ms = ? WHERE store = ? AND ${AMONG}`,
          ...[untilMs, store, JSON.stringify(taken)],
        );
        return taken;
      }),
    forget: async (ids, untilMs) => {
      await db.write(() => {
        db.run(
          `DELETE FROM condemned_chunks WHERE store = ? AND removing_until_ms = ? AND ${AMONG}`,
          ...[store, untilMs, JSON.stringify(ids)],
        );
      });
    },
  };
}

/** One more than all before. To be called inside `write`. */
function nextTurn(db: Database): number {
  db.run("UPDATE chunk_turns SET turn = turn + 1");
  const row = db.get("SELECT turn FROM chunk_turns");
  return row === undefined ? 0 : count(row, "turn");
}
