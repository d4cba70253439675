/** Images that were built, in SQLite. */
import type { ImageStore, StoredImage } from "../record-store.ts";
import type { Database } from "./database.ts";
import { checkChunkLease } from "./sqlite-chunk-records.ts";
import { bytes, count, text, type Row } from "./row.ts";

const COLUMNS = "workspace_id, image_id, created_at_ms, used_at_ms, image";
const OF_CONTENT = "workspace_id = ?1 AND image ->> 'contentId' = ?2";

export class SqliteImages implements ImageStore {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async put(image: StoredImage, leaseId?: string): Promise<void> {
    await this.#db.write(() => {
      if (leaseId !== undefined) checkChunkLease(this.#db, leaseId);
      this.#put(image);
    });
  }

  async putShared(image: StoredImage): Promise<boolean> {
    return this.#db.write(() => {
      const sql = "SELECT 1 FROM images WHERE image ->> 'contentId' = ? LIMIT 1";
      const known = this.#db.get(sql, image.contentId ?? null);
      if (known !== undefined) this.#put(image);
      return known !== undefined;
    });
  }

  find(workspaceId: string, imageId: string): Promise<StoredImage | undefined> {
    const [row] = this.#db.all(
      `SELECT ${COLUMNS} FROM images WHERE workspace_id = ? AND image_id = ?`,
      workspaceId,
      imageId,
    );
    return Promise.resolve(row === undefined ? undefined : imageOf(row));
  }

  list(): Promise<readonly StoredImage[]> {
    const rows = this.#db.all(
      `SELECT ${COLUMNS} FROM images ORDER BY used_at_ms DESC, workspace_id, image_id`,
    );
    return Promise.resolve(rows.map(imageOf));
  }

  async remove(workspaceId: string, imageId: string): Promise<boolean> {
    return this.#db.write(() => {
      const sql = "DELETE FROM images WHERE workspace_id = ? AND image_id = ?";
      return this.#db.run(sql, workspaceId, imageId) > 0;
    });
  }

  async putReads(workspaceId: string, contentId: string, reads: Uint8Array): Promise<void> {
    await this.#db.write(() => {
      this.#db.run(
        `UPDATE images SET reads = ?3 WHERE ${OF_CONTENT}`,
        workspaceId,
        contentId,
        reads,
      );
    });
  }

  reads(workspaceId: string, contentId: string): Promise<Uint8Array | undefined> {
    const sql = `SELECT reads FROM images WHERE ${OF_CONTENT} AND reads IS NOT NULL LIMIT 1`;
    const [row] = this.#db.all(sql, workspaceId, contentId);
    return Promise.resolve(row === undefined ? undefined : bytes(row, "reads"));
  }

  #put({ workspaceId, imageId, createdAtMs, usedAtMs, ...rest }: StoredImage): void {
    this.#db.run(
      `INSERT INTO images (${COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5)
       ON CONFLICT (workspace_id, image_id) DO UPDATE SET used_at_ms = ?4, image = ?5,
         reads = CASE WHEN image ->> 'contentId' IS ?5 ->> 'contentId' THEN reads END`,
      workspaceId,
      imageId,
      createdAtMs,
      usedAtMs,
      JSON.stringify(rest),
    );
  }
}

function imageOf(row: Row): StoredImage {
  const rest = JSON.parse(text(row, "image")) as Pick<
    StoredImage,
    "steps" | "layerKeys" | "env" | "workdir" | "byteCount" | "contentId" | "isKept"
  >;
  return {
    ...rest,
    workspaceId: text(row, "workspace_id"),
    imageId: text(row, "image_id"),
    createdAtMs: count(row, "created_at_ms"),
    usedAtMs: count(row, "used_at_ms"),
  };
}
