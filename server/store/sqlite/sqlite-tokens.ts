/** API tokens in SQLite. */
import type { StoredToken, TokenStore } from "../record-store.ts";
import type { Database } from "./database.ts";
import { count, text, type Row } from "./row.ts";

export class SqliteTokens implements TokenStore {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async put(token: StoredToken): Promise<void> {
    await this.#db.write(() =>
      this.#db.run(
        "INSERT OR REPLACE INTO tokens VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        token.tokenId,
        token.sha256,
        token.workspaceId,
        token.name,
        token.kind,
        token.nodeId ?? null,
        token.createdAtMs,
        token.expiresAtMs ?? null,
      ),
    );
  }

  async find(sha256: string): Promise<StoredToken | undefined> {
    const row = this.#db.get("SELECT * FROM tokens WHERE sha256 = ?", sha256);
    return Promise.resolve(row === undefined ? undefined : tokenOf(row));
  }

  async list(workspaceId: string): Promise<readonly StoredToken[]> {
    const rows = this.#db.all(
      "SELECT * FROM tokens WHERE workspace_id = ? ORDER BY created_at_ms, token_id",
      workspaceId,
    );
    return Promise.resolve(rows.map(tokenOf));
  }

  async take(tokenId: string): Promise<StoredToken | undefined> {
    return this.#db.write(() => {
      const row = this.#db.get("SELECT * FROM tokens WHERE token_id = ?", tokenId);
      if (row === undefined) return undefined;
      this.#db.run("DELETE FROM tokens WHERE token_id = ?", tokenId);
      return tokenOf(row);
    });
  }
}

function tokenOf(row: Row): StoredToken {
  const { node_id: nodeId, expires_at_ms: expiresAtMs } = row;
  const kind = text(row, "kind");
  return {
    tokenId: text(row, "token_id"),
    sha256: text(row, "sha256"),
    workspaceId: text(row, "workspace_id"),
    name: text(row, "name"),
    kind: kind === "join" || kind === "agent" ? kind : "user",
    createdAtMs: count(row, "created_at_ms"),
    ...(typeof nodeId === "string" ? { nodeId } : {}),
    ...(typeof expiresAtMs === "number" ? { expiresAtMs } : {}),
  };
}
