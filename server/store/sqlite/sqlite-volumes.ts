/** Volumes, their versions, and what containers read of them, in SQLite. */
import type {
  StoredVolume,
  StoredVolumeVersion,
  VolumeHold,
  VolumeHoldStore,
  VolumeStore,
  VolumeVersionStore,
} from "../volume-store.ts";
import type { Database } from "./database.ts";
import { checkChunkLease } from "./sqlite-chunk-records.ts";
import { count, text, type Row } from "./row.ts";

const SELECT = `SELECT v.workspace_id, v.name, v.volume_id, v.created_at_ms, v.version,
  n.content_id, n.entry_count, n.bytes, n.committed_at_ms
  FROM volumes v LEFT JOIN volume_versions n
  ON n.volume_id = v.volume_id AND n.version = v.version WHERE v.workspace_id = ?`;

export class SqliteVolumes implements VolumeStore {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async create(
    volume: Pick<StoredVolume, "workspaceId" | "name" | "volumeId" | "createdAtMs">,
  ): Promise<boolean> {
    const { workspaceId, name, volumeId, createdAtMs } = volume;
    return this.#db.write(() => {
      const sql = "INSERT INTO volumes VALUES (?, ?, ?, ?, 0) ON CONFLICT DO NOTHING";
      return this.#db.run(sql, workspaceId, name, volumeId, createdAtMs) > 0;
    });
  }

  find(workspaceId: string, name: string): Promise<StoredVolume | undefined> {
    const row = this.#db.get(`${SELECT} AND v.name = ?`, workspaceId, name);
    return Promise.resolve(row === undefined ? undefined : volumeOf(row));
  }

  list(workspaceId: string): Promise<readonly StoredVolume[]> {
    const rows = this.#db.all(`${SELECT} ORDER BY v.name`, workspaceId);
    return Promise.resolve(rows.map(volumeOf));
  }

  async remove(workspaceId: string, name: string): Promise<boolean> {
    return this.#db.write(() => {
      const sql = "DELETE FROM volumes WHERE workspace_id = ? AND name = ?";
      return this.#db.run(sql, workspaceId, name) > 0;
    });
  }
}

export class SqliteVolumeVersions implements VolumeVersionStore {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async add(version: StoredVolumeVersion, leaseId?: string): Promise<boolean> {
    const { volumeId, contentId = null, commitId, committedAtMs, by } = version;
    const { changedCount, removedCount, entryCount, bytes } = version;
    return this.#db.write(() => {
      if (leaseId !== undefined) checkChunkLease(this.#db, leaseId);
      const head = "UPDATE volumes SET version = ? WHERE volume_id = ? AND version = ?";
      const { version: next } = version;
      if (this.#db.run(head, next, volumeId, next - 1) === 0) return false;
      this.#db.run(
        "INSERT INTO volume_versions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        ...[volumeId, next, contentId, commitId, committedAtMs, by],
        ...[changedCount, removedCount, entryCount, bytes],
      );
      return true;
    });
  }

  list(volumeId: string): Promise<readonly StoredVolumeVersion[]> {
    const sql = "SELECT * FROM volume_versions WHERE volume_id = ? ORDER BY version DESC";
    return Promise.resolve(this.#db.all(sql, volumeId).map(versionOf));
  }

  findCommit(volumeId: string, commitId: string): Promise<StoredVolumeVersion | undefined> {
    const sql = "SELECT * FROM volume_versions WHERE volume_id = ? AND commit_id = ?";
    const row = this.#db.get(sql, volumeId, commitId);
    return Promise.resolve(row === undefined ? undefined : versionOf(row));
  }

  async forget(volumeId: string, version: number, beforeMs: number): Promise<number> {
    return this.#db.write(() => {
      const sql = `DELETE FROM volume_versions WHERE volume_id = ? AND version <= ? AND EXISTS (
        SELECT 1 FROM volume_versions n WHERE n.volume_id = volume_versions.volume_id
        AND n.version = volume_versions.version + 1 AND n.committed_at_ms < ?)`;
      return this.#db.run(sql, volumeId, version, beforeMs);
    });
  }

  contentIds(): Promise<readonly string[]> {
    const sql = "SELECT DISTINCT content_id FROM volume_versions WHERE content_id IS NOT NULL";
    return Promise.resolve(this.#db.all(sql).map((row) => text(row, "content_id")));
  }
}

export class SqliteVolumeHolds implements VolumeHoldStore {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async add(holds: readonly VolumeHold[]): Promise<void> {
    await this.#db.write(() => {
      const sql = "INSERT INTO volume_holds VALUES (?, ?, ?) ON CONFLICT DO NOTHING";
      for (const { containerId, contentId, heldAtMs } of holds) {
        this.#db.run(sql, containerId, contentId, heldAtMs);
      }
    });
  }

  list(): Promise<readonly VolumeHold[]> {
    const rows = this.#db.all("SELECT * FROM volume_holds ORDER BY container_id, content_id");
    return Promise.resolve(
      rows.map((row) => ({
        containerId: text(row, "container_id"),
        contentId: text(row, "content_id"),
        heldAtMs: count(row, "held_at_ms"),
      })),
    );
  }

  async remove(containerIds: readonly string[]): Promise<void> {
    await this.#db.write(() => {
      const sql = "DELETE FROM volume_holds WHERE container_id = ?";
      for (const containerId of containerIds) this.#db.run(sql, containerId);
    });
  }
}

function volumeOf(row: Row): StoredVolume {
  const createdAtMs = count(row, "created_at_ms");
  const isEmpty = row["entry_count"] === null;
  return {
    workspaceId: text(row, "workspace_id"),
    name: text(row, "name"),
    volumeId: text(row, "volume_id"),
    createdAtMs,
    version: count(row, "version"),
    ...contentOf(row),
    entryCount: isEmpty ? 0 : count(row, "entry_count"),
    bytes: isEmpty ? 0 : count(row, "bytes"),
    committedAtMs: isEmpty ? createdAtMs : count(row, "committed_at_ms"),
  };
}

function versionOf(row: Row): StoredVolumeVersion {
  return {
    volumeId: text(row, "volume_id"),
    version: count(row, "version"),
    ...contentOf(row),
    commitId: text(row, "commit_id"),
    committedAtMs: count(row, "committed_at_ms"),
    by: text(row, "committed_by"),
    changedCount: count(row, "changed_count"),
    removedCount: count(row, "removed_count"),
    entryCount: count(row, "entry_count"),
    bytes: count(row, "bytes"),
  };
}

function contentOf(row: Row): { readonly contentId?: string } {
  return row["content_id"] === null ? {} : { contentId: text(row, "content_id") };
}
