/** Workspaces, and which blobs are theirs, in SQLite. */
import type { BlobOwners, StoredWorkspace, WorkspaceStore } from "../workspace-store.ts";
import type { Database } from "./database.ts";
import { count, text, type Row } from "./row.ts";

export class SqliteWorkspaces implements WorkspaceStore {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async add({ workspaceId, name, createdAtMs }: StoredWorkspace): Promise<boolean> {
    return this.#db.write(() => {
      const sql = `INSERT OR IGNORE INTO workspaces (workspace_id, name, created_at_ms)
        VALUES (?, ?, ?)`;
      return this.#db.run(sql, workspaceId, name, createdAtMs) > 0;
    });
  }

  find(name: string): Promise<StoredWorkspace | undefined> {
    const sql = "SELECT * FROM workspaces WHERE name = ? AND deleted_at_ms IS NULL";
    const row = this.#db.get(sql, name);
    return Promise.resolve(row === undefined ? undefined : workspaceOf(row));
  }

  list(): Promise<readonly StoredWorkspace[]> {
    const sql = "SELECT * FROM workspaces WHERE deleted_at_ms IS NULL ORDER BY name";
    return Promise.resolve(this.#db.all(sql).map(workspaceOf));
  }

  async remove(workspaceId: string, nowMs: number): Promise<boolean> {
    return this.#db.write(() => {
      const sql = `UPDATE workspaces SET deleted_at_ms = ?
        WHERE workspace_id = ? AND deleted_at_ms IS NULL`;
      if (this.#db.run(sql, nowMs, workspaceId) === 0) return false;
      this.#db.run(
        `UPDATE tokens SET revoked_at_ms = ?
         WHERE workspace_id = ? AND kind = 'user' AND revoked_at_ms IS NULL`,
        nowMs,
        workspaceId,
      );
      return true;
    });
  }

  listRemoved(): Promise<readonly StoredWorkspace[]> {
    const sql = `SELECT * FROM workspaces
      WHERE deleted_at_ms IS NOT NULL AND purged_at_ms IS NULL ORDER BY workspace_id`;
    return Promise.resolve(this.#db.all(sql).map(workspaceOf));
  }

  async purge(workspaceId: string, nowMs: number): Promise<void> {
    await this.#db.write(() => {
      const sql = `UPDATE workspaces SET purged_at_ms = ?
        WHERE workspace_id = ? AND deleted_at_ms IS NOT NULL`;
      if (this.#db.run(sql, nowMs, workspaceId) === 0) return;
      for (const table of [
        "secrets",
        "images",
        "blob_owners",
        "schedules",
        "schedule_runs",
        "volumes",
      ]) {
        this.#db.run(`DELETE FROM ${table} WHERE workspace_id = ?`, workspaceId);
      }
    });
  }
}

export class SqliteBlobOwners implements BlobOwners {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async add(workspaceId: string, sha256: string): Promise<void> {
    if (await this.has(workspaceId, sha256)) return;
    await this.#db.write(() =>
      this.#db.run("INSERT OR IGNORE INTO blob_owners VALUES (?, ?)", workspaceId, sha256),
    );
  }

  has(workspaceId: string, sha256: string): Promise<boolean> {
    const sql = "SELECT 1 AS one FROM blob_owners WHERE workspace_id = ? AND sha256 = ?";
    return Promise.resolve(this.#db.get(sql, workspaceId, sha256) !== undefined);
  }
}

function workspaceOf(row: Row): StoredWorkspace {
  const { deleted_at_ms: deletedAtMs } = row;
  return {
    workspaceId: text(row, "workspace_id"),
    name: text(row, "name"),
    createdAtMs: count(row, "created_at_ms"),
    ...(typeof deletedAtMs === "number" ? { deletedAtMs } : {}),
  };
}
