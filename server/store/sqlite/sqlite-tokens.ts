/** API tokens in SQLite. */
import type { TokenScope } from "../../../sdk/protocol/index.ts";
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
        `INSERT OR REPLACE INTO tokens (token_id, sha256, workspace_id, name, kind, node_id,
           created_at_ms, expires_at_ms, scopes, last_used_at_ms, revoked_at_ms)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
        token.tokenId,
        token.sha256,
        token.workspaceId,
        token.name,
        token.kind,
        token.nodeId ?? null,
        token.createdAtMs,
        token.expiresAtMs ?? null,
        token.scopes === undefined ? null : JSON.stringify(token.scopes),
        token.lastUsedAtMs ?? null,
        token.revokedAtMs ?? null,
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

  async revoke(
    workspaceId: string,
    tokenId: string,
    nowMs: number,
  ): Promise<StoredToken | undefined> {
    return this.#db.write(() => {
      const where = "WHERE token_id = ? AND workspace_id = ? AND kind = 'user'";
      this.#db.run(
        `UPDATE tokens SET revoked_at_ms = ? ${where} AND revoked_at_ms IS NULL`,
        nowMs,
        tokenId,
        workspaceId,
      );
      const row = this.#db.get(`SELECT * FROM tokens ${where}`, tokenId, workspaceId);
      return row === undefined ? undefined : tokenOf(row);
    });
  }

  async noteUse(tokenId: string, atMs: number): Promise<void> {
    await this.#db.writeSoon(() =>
      this.#db.run(
        `UPDATE tokens SET last_used_at_ms = max(coalesce(last_used_at_ms, 0), ?)
         WHERE token_id = ?`,
        atMs,
        tokenId,
      ),
    );
  }
}

function tokenOf(row: Row): StoredToken {
  const { node_id: nodeId, scopes } = row;
  const kind = text(row, "kind");
  return {
    tokenId: text(row, "token_id"),
    sha256: text(row, "sha256"),
    workspaceId: text(row, "workspace_id"),
    name: text(row, "name"),
    kind: kind === "join" || kind === "agent" ? kind : "user",
    createdAtMs: count(row, "created_at_ms"),
    ...(typeof nodeId === "string" ? { nodeId } : {}),
    ...(typeof scopes === "string" ? { scopes: JSON.parse(scopes) as readonly TokenScope[] } : {}),
    ...timesOf(row),
  };
}

function timesOf(row: Row): Pick<StoredToken, "expiresAtMs" | "lastUsedAtMs" | "revokedAtMs"> {
  const { expires_at_ms: expiresAtMs, last_used_at_ms: lastUsedAtMs } = row;
  const { revoked_at_ms: revokedAtMs } = row;
  return {
    ...(typeof expiresAtMs === "number" ? { expiresAtMs } : {}),
    ...(typeof lastUsedAtMs === "number" ? { lastUsedAtMs } : {}),
    ...(typeof revokedAtMs === "number" ? { revokedAtMs } : {}),
  };
}
