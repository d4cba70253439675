/** The part of the record store that tokens live in. */
import type { TokenScope } from "../../sdk/protocol/index.ts";

/** An API token; only its SHA-256 is kept. */
export interface StoredToken {
  readonly tokenId: string;
  readonly sha256: string;
  readonly workspaceId: string;
  readonly name: string;
  /** `user`: the API. `join`: a node may join once. `agent`: a joined node's session. */
  readonly kind: "user" | "join" | "agent";
  /** What a user's token may do; those of nodes have none. */
  readonly scopes?: readonly TokenScope[];
  /** The node a join or agent token is bound to. */
  readonly nodeId?: string;
  readonly createdAtMs: number;
  readonly expiresAtMs?: number;
  /** Right to about a minute; absent: never used. */
  readonly lastUsedAtMs?: number;
  /** It works no more; kept so that history can name it. */
  readonly revokedAtMs?: number;
}

export interface TokenStore {
  put(token: StoredToken): Promise<void>;
  find(sha256: string): Promise<StoredToken | undefined>;
  /** Oldest first, revoked and expired ones included. */
  list(workspaceId: string): Promise<readonly StoredToken[]>;
  /** Removes a token and gives it back; exactly one of several concurrent callers gets it. */
  take(tokenId: string): Promise<StoredToken | undefined>;
  /**
   * Ends a user's token of this workspace; the first time stays. Gives it as it is then, or
   * undefined when there is none.
   */
  revoke(workspaceId: string, tokenId: string, nowMs: number): Promise<StoredToken | undefined>;
  /** Notes when a token was used; an earlier time changes nothing. */
  noteUse(tokenId: string, atMs: number): Promise<void>;
}
