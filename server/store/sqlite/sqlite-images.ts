/** Images that were built, in SQLite. */
import type { ImageStore, StoredImage } from "../record-store.ts";
import type { Database } from "./database.ts";
import { count, text, type Row } from "./row.ts";

export class SqliteImages implements ImageStore {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async put(image: StoredImage): Promise<void> {
    const { workspaceId, imageId, createdAtMs, usedAtMs, ...rest } = image;
    await this.#db.write(() => {
      this.#db.run(
        `INSERT INTO images VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (workspace_id, image_id) DO UPDATE SET used_at_ms = ?4, image = ?5`,
        workspaceId,
        imageId,
        createdAtMs,
        usedAtMs,
        JSON.stringify(rest),
      );
    });
  }

  find(workspaceId: string, imageId: string): Promise<StoredImage | undefined> {
    const [row] = this.#db.all(
      "SELECT * FROM images WHERE workspace_id = ? AND image_id = ?",
      workspaceId,
      imageId,
    );
    return Promise.resolve(row === undefined ? undefined : imageOf(row));
  }

  list(): Promise<readonly StoredImage[]> {
    const rows = this.#db.all(
      "SELECT * FROM images ORDER BY used_at_ms DESC, workspace_id, image_id",
    );
    return Promise.resolve(rows.map(imageOf));
  }

  async remove(workspaceId: string, imageId: string): Promise<boolean> {
    return this.#db.write(() => {
      const sql = "DELETE FROM images WHERE workspace_id = ? AND image_id = ?";
      return this.#db.run(sql, workspaceId, imageId) > 0;
    });
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
