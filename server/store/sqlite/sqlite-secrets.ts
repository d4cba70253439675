/** Secrets, encrypted, in SQLite. */
import { PlatformError } from "../../../core/index.ts";
import type { SecretStore, StoredSecret } from "../record-store.ts";
import type { Database } from "./database.ts";
import { bytes, count, text, type Row } from "./row.ts";

const INSERT = `INSERT INTO secrets
  (workspace_id, name, version, key_id, wrapped_key, created_at_ms, updated_at_ms)
  VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`;
const REPLACE = `UPDATE secrets SET version = ?, key_id = ?, wrapped_key = ?, updated_at_ms = ?
  WHERE workspace_id = ? AND name = ? AND version = ?`;

export class SqliteSecrets implements SecretStore {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async put(secret: StoredSecret): Promise<boolean> {
    return this.#db.write(() => {
      if (!this.#putHead(secret)) return false;
      const { workspaceId, name } = secret;
      const where = "WHERE workspace_id = ? AND name = ?";
      this.#db.run(`DELETE FROM secret_values ${where}`, workspaceId, name);
      for (const { key, sealed } of secret.values) {
        const sql = "INSERT INTO secret_values VALUES (?, ?, ?, ?)";
        this.#db.run(sql, workspaceId, name, key, sealed);
      }
      return true;
    });
  }

  find(workspaceId: string, name: string): Promise<StoredSecret | undefined> {
    const sql = "SELECT * FROM secrets WHERE workspace_id = ? AND name = ?";
    const row = this.#db.get(sql, workspaceId, name);
    return Promise.resolve(row === undefined ? undefined : this.#secretOf(row));
  }

  list(workspaceId?: string): Promise<readonly StoredSecret[]> {
    const sql = `SELECT * FROM secrets WHERE workspace_id = coalesce(?, workspace_id)
      ORDER BY workspace_id, name`;
    const rows = this.#db.all(sql, workspaceId ?? null);
    return Promise.resolve(rows.map((row) => this.#secretOf(row)));
  }

  async remove(workspaceId: string, name: string): Promise<boolean> {
    return this.#db.write(() => {
      const sql = "DELETE FROM secrets WHERE workspace_id = ? AND name = ?";
      return this.#db.run(sql, workspaceId, name) > 0;
    });
  }

  async rewrap(secrets: readonly Omit<StoredSecret, "values">[]): Promise<void> {
    await this.#db.write(() => {
      for (const { workspaceId, name, version, keyId, wrappedKey } of secrets) {
        const sql = `UPDATE secrets SET key_id = ?, wrapped_key = ?
          WHERE workspace_id = ? AND name = ? AND version = ?`;
        if (this.#db.run(sql, keyId, wrappedKey, workspaceId, name, version) > 0) continue;
        throw new PlatformError(`secret ${name} was changed meanwhile; try again`, {
          code: "conflict",
          retryable: true,
          details: { secret: name, version },
        });
      }
    });
  }

  /** The row of a secret, if its version follows the one in force. */
  #putHead(secret: StoredSecret): boolean {
    const { workspaceId, name, version, keyId, wrappedKey } = secret;
    const { createdAtMs, updatedAtMs } = secret;
    const changed =
      version === 1
        ? this.#db.run(
            INSERT,
            ...[workspaceId, name, version, keyId, wrappedKey, createdAtMs, updatedAtMs],
          )
        : this.#db.run(
            REPLACE,
            ...[version, keyId, wrappedKey, updatedAtMs, workspaceId, name, version - 1],
          );
    return changed > 0;
  }

  #secretOf(row: Row): StoredSecret {
    const workspaceId = text(row, "workspace_id");
    const name = text(row, "name");
    const values = this.#db.all(
      `SELECT variable, sealed FROM secret_values
       WHERE workspace_id = ? AND name = ? ORDER BY variable`,
      workspaceId,
      name,
    );
    return {
      workspaceId,
      name,
      version: count(row, "version"),
      keyId: text(row, "key_id"),
      wrappedKey: bytes(row, "wrapped_key"),
      values: values.map((value) => ({
        key: text(value, "variable"),
        sealed: bytes(value, "sealed"),
      })),
      createdAtMs: count(row, "created_at_ms"),
      updatedAtMs: count(row, "updated_at_ms"),
    };
  }
}
