/** What the pool remembers, in SQLite: one small row an entry. */
import type { MemoryChanges, MemoryEntry } from "../../../pool/index.ts";
import {
  POOL_MEMORY_KEPT,
  POOL_MEMORY_KEPT_MS,
  type Fence,
  type PoolMemoryStore,
} from "../record-store.ts";
import type { Database } from "./database.ts";
import { count, text, type Row } from "./row.ts";
import { checkFence } from "./sqlite-fences.ts";

export class SqlitePoolMemory implements PoolMemoryStore {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async change(fence: Fence, { put, removed }: MemoryChanges): Promise<void> {
    await this.#db.write(() => {
      checkFence(this.#db, fence);
      for (const { kind, key } of removed) {
        this.#db.run("DELETE FROM pool_memory WHERE kind = ? AND memory_key = ?", kind, key);
      }
      for (const { kind, key, atMs, value } of put) {
        this.#db.run(
          `INSERT INTO pool_memory VALUES (?1, ?2, ?3, ?4)
           ON CONFLICT (kind, memory_key) DO UPDATE SET at_ms = ?3, value = ?4`,
          kind,
          key,
          atMs,
          JSON.stringify(value),
        );
      }
      if (put.length > 0) this.#forget(put.reduce((latest, { atMs }) => Math.max(latest, atMs), 0));
    });
  }

  list(): Promise<readonly MemoryEntry[]> {
    const rows = this.#db.all("SELECT * FROM pool_memory ORDER BY kind, memory_key");
    return Promise.resolve(rows.map(entryOf));
  }

  /** Drops what is old, and the oldest of what is too much. */
  #forget(newestMs: number): void {
    this.#db.run("DELETE FROM pool_memory WHERE at_ms < ?", newestMs - POOL_MEMORY_KEPT_MS);
    this.#db.run(
      `DELETE FROM pool_memory WHERE (kind, memory_key) IN
         (SELECT kind, memory_key FROM pool_memory
          ORDER BY at_ms DESC, kind, memory_key LIMIT -1 OFFSET ?)`,
      POOL_MEMORY_KEPT,
    );
  }
}

function entryOf(row: Row): MemoryEntry {
  const value: unknown = JSON.parse(text(row, "value"));
  const [kind, key, atMs] = [text(row, "kind"), text(row, "memory_key"), count(row, "at_ms")];
  return { kind, key, atMs, value } as MemoryEntry;
}
