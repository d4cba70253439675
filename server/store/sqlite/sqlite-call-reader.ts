/** Calls, their results and values as they are read, and removed when they are old. */
import type {
  CallExpiry,
  CallReader,
  CallRecord,
  StoredPayload,
  StoredResult,
} from "../record-store.ts";
import { callOf, keyOf, resultOf, SELECT_CALL } from "./call-rows.ts";
import type { Database } from "./database.ts";
import { INPUTS_PER_CALL_MAX } from "./migrations.ts";
import { count, payloadOf } from "./row.ts";
import { unnameBlobs } from "./sqlite-blob-records.ts";

export class SqliteCallReader implements CallReader {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async get(callId: string): Promise<CallRecord | undefined> {
    const row = this.#db.get(SELECT_CALL, callId);
    return Promise.resolve(row === undefined ? undefined : callOf(row));
  }

  async results(
    callId: string,
    cursor: number,
    limit: number,
  ): Promise<{ readonly results: readonly StoredResult[]; readonly nextCursor: number }> {
    const call = this.#db.get(SELECT_CALL, callId);
    if (call === undefined) return Promise.resolve({ results: [], nextCursor: cursor });
    const callKey = count(call, "call_key");
    const rows = this.#db.all(
      `SELECT results.*, COALESCE((SELECT MAX(attempt) FROM attempts
                                   WHERE input_key = ?1 + idx), 0) AS attempts
       FROM results WHERE result_key BETWEEN ?2 AND ?3 ORDER BY result_key LIMIT ?4`,
      keyOf(callKey, 0),
      keyOf(callKey, cursor),
      keyOf(callKey, INPUTS_PER_CALL_MAX - 1),
      limit,
    );
    const results = rows.map((row) => resultOf(callId, row));
    return Promise.resolve({ results, nextCursor: cursor + results.length });
  }

  async values(callId: string, cursor: number, limit: number): Promise<readonly StoredPayload[]> {
    const call = this.#db.get(SELECT_CALL, callId);
    if (call === undefined) return Promise.resolve([]);
    const callKey = count(call, "call_key");
    const rows = this.#db.all(
      `SELECT payload, sha256, byte_count FROM yielded_values
       WHERE value_key BETWEEN ? AND ? ORDER BY value_key LIMIT ?`,
      keyOf(callKey, cursor),
      keyOf(callKey, INPUTS_PER_CALL_MAX - 1),
      limit,
    );
    return Promise.resolve(rows.flatMap((row) => payloadOf(row) ?? []));
  }

  async expire({ beforeMs, nowMs, limit }: CallExpiry): Promise<number> {
    return this.#db.write(() => {
      const calls = this.#db.all(
        "SELECT call_key FROM calls WHERE ended_at_ms < ? ORDER BY ended_at_ms LIMIT ?",
        beforeMs,
        limit,
      );
      for (const call of calls) this.#remove(count(call, "call_key"), nowMs);
      return calls.length;
    });
  }

  #remove(callKey: number, nowMs: number): void {
    unnameBlobs(this.#db, callKey, nowMs);
    const [first, last] = [keyOf(callKey, 0), keyOf(callKey, INPUTS_PER_CALL_MAX - 1)];
    this.#db.run("DELETE FROM attempts WHERE input_key BETWEEN ? AND ?", first, last);
    this.#db.run("DELETE FROM inputs WHERE input_key BETWEEN ? AND ?", first, last);
    this.#db.run("DELETE FROM yielded_values WHERE value_key BETWEEN ? AND ?", first, last);
    this.#db.run("DELETE FROM results WHERE result_key BETWEEN ? AND ?", first, last);
    this.#db.run("DELETE FROM calls WHERE call_key = ?", callKey);
  }
}
