/** Which blobs there are, and which calls name them, in SQLite. */
import { REMOVAL_MS_MAX, type BlobRecords, type UnnamedQuery } from "../blob-records.ts";
import type { StoredPayload } from "../record-store.ts";
import type { Database } from "./database.ts";
import { text } from "./row.ts";

/** Code that was sent as if it were a payload stays as long as its deployment. */
const UNNAMED = `lasting = 0 AND used_at_ms < ?1
  AND NOT EXISTS (SELECT 1 FROM call_blobs WHERE call_blobs.sha256 = blobs.sha256)
  AND sha256 NOT IN (SELECT code_sha256 FROM deployments)
  AND sha256 NOT IN (SELECT spec ->> '$.python.codeSha256' FROM functions
                     WHERE spec ->> '$.python.codeSha256' IS NOT NULL)`;

export class SqliteBlobRecords implements BlobRecords {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  use(sha256: string, nowMs: number): Promise<boolean> {
    const sql = `INSERT INTO blobs (sha256, used_at_ms, lasting) VALUES (?, ?, 0)
      ON CONFLICT DO UPDATE SET used_at_ms = excluded.used_at_ms, removing_at_ms = NULL`;
    return this.#note(sha256, nowMs, () => this.#db.run(sql, sha256, nowMs));
  }

  keep(sha256: string, nowMs: number): Promise<boolean> {
    const sql = `INSERT INTO blobs (sha256, used_at_ms, lasting) VALUES (?, ?, 1)
      ON CONFLICT DO UPDATE SET lasting = 1, removing_at_ms = NULL`;
    return this.#note(sha256, nowMs, () => this.#db.run(sql, sha256, nowMs));
  }

  renew(sha256: string, nowMs: number): Promise<boolean> {
    const sql = `UPDATE blobs SET used_at_ms = ?, removing_at_ms = NULL
      WHERE sha256 = ? AND lasting = 0`;
    return this.#note(sha256, nowMs, () => this.#db.run(sql, nowMs, sha256));
  }

  unnamed({ beforeMs, after, limit }: UnnamedQuery): Promise<readonly string[]> {
    const sql = `SELECT sha256 FROM blobs WHERE ${UNNAMED} AND sha256 > ?2 ORDER BY sha256 LIMIT ?3`;
    return Promise.resolve(
      this.#db.all(sql, beforeMs, after, limit).map((row) => text(row, "sha256")),
    );
  }

  async claim(
    sha256: string,
    { beforeMs, nowMs }: { readonly beforeMs: number; readonly nowMs: number },
  ): Promise<boolean> {
    const sql = `UPDATE blobs SET removing_at_ms = ?3 WHERE ${UNNAMED} AND sha256 = ?2
      AND (removing_at_ms IS NULL OR ABS(?3 - removing_at_ms) > ?4)`;
    return this.#db.write(() => this.#db.run(sql, beforeMs, sha256, nowMs, REMOVAL_MS_MAX) > 0);
  }

  async forget(sha256: string): Promise<void> {
    await this.#db.write(() => {
      const sql = "DELETE FROM blobs WHERE sha256 = ? AND removing_at_ms IS NOT NULL";
      if (this.#db.run(sql, sha256) === 0) return;
      this.#db.run("DELETE FROM blob_owners WHERE sha256 = ?", sha256);
    });
  }

  async #note(sha256: string, nowMs: number, note: () => void): Promise<boolean> {
    return this.#db.write(() => {
      const sql = "SELECT 1 AS one FROM blobs WHERE sha256 = ? AND ABS(? - removing_at_ms) <= ?";
      if (this.#db.get(sql, sha256, nowMs, REMOVAL_MS_MAX) !== undefined) return false;
      note();
      return true;
    });
  }
}

/** Notes the blobs that a payload of a call needs. To be called inside `write`. */
export function nameBlobs(db: Database, callKey: number, payload: StoredPayload | undefined): void {
  const sql = "INSERT OR IGNORE INTO call_blobs (call_key, sha256) VALUES (?, ?)";
  if (payload?.kind === "blob") db.run(sql, callKey, payload.sha256);
  for (const sha256 of payload?.chunks ?? []) db.run(sql, callKey, sha256);
}

/** A call is removed, and no longer needs its blobs. To be called inside `write`. */
export function unnameBlobs(db: Database, callKey: number, nowMs: number): void {
  db.run(
    `UPDATE blobs SET used_at_ms = MAX(used_at_ms, ?)
     WHERE sha256 IN (SELECT sha256 FROM call_blobs WHERE call_key = ?)`,
    nowMs,
    callKey,
  );
  db.run("DELETE FROM call_blobs WHERE call_key = ?", callKey);
}
