/** Fences in SQLite: the highest token of each name. */
import { PlatformError } from "../../../core/index.ts";
import type { Fence, FenceStore } from "../record-store.ts";
import type { Database } from "./database.ts";
import { count } from "./row.ts";

export class SqliteFences implements FenceStore {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async claim(fence: Fence): Promise<void> {
    await this.#db.write(() => {
      checkFence(this.#db, fence);
      this.#db.run(
        `INSERT INTO fences (name, token) VALUES (?1, ?2)
         ON CONFLICT (name) DO UPDATE SET token = ?2`,
        fence.name,
        fence.token,
      );
    });
  }

  async current(name: string): Promise<number> {
    return Promise.resolve(tokenOf(this.#db, name));
  }
}

/**
 * Refuses a holder that another one has followed; to be called in the transaction of its write.
 *
 * @throws PlatformError `conflict`.
 */
export function checkFence(db: Database, { name, token }: Fence): void {
  const current = tokenOf(db, name);
  if (token >= current) return;
  throw new PlatformError(
    `holder ${token} of ${name} was followed by holder ${current}; nothing was changed`,
    { code: "conflict", retryable: false, details: { name, token, current } },
  );
}

function tokenOf(db: Database, name: string): number {
  const row = db.get("SELECT token FROM fences WHERE name = ?", name);
  return row === undefined ? 0 : count(row, "token");
}
