/** Workspaces and tokens on the wire. */
import type { Paged } from "./paged.ts";

/**
 * What a token may be allowed to do. `deploy` includes `call` and `read`, since deployed code
 * can do as much; `admin` includes `deploy`; `operator` includes all, and every workspace.
 */
export const TOKEN_SCOPES = ["read", "call", "deploy", "admin", "operator"] as const;
export type TokenScope = (typeof TOKEN_SCOPES)[number];

/** Names the workspace that a request means: the token's own, or any for operators. */
export const WORKSPACE_HEADER = "flotilla-workspace";

/** Makes a workspace. */
export interface NewWorkspace {
  /** 1 to 40 lower-case letters, digits and `-`, a letter first. */
  readonly name: string;
}

export interface WorkspaceSummary {
  readonly workspaceId: string;
  readonly name: string;
  readonly createdAtMs: number;
  /** Apps that run. */
  readonly appCount: number;
  /** Tokens that work. */
  readonly tokenCount: number;
}

export interface WorkspaceList extends Paged {
  readonly workspaces: readonly WorkspaceSummary[];
}

/** Makes a token of the asker's workspace. */
export interface NewApiToken {
  /** What its holder calls it. */
  readonly name: string;
  /** At least one, and none that the asker lacks. */
  readonly scopes: readonly TokenScope[];
  /** Absent: it works until it is revoked. */
  readonly expiresInMs?: number;
}

/** What may be known of a token. */
export interface TokenSummary {
  readonly tokenId: string;
  readonly name: string;
  readonly scopes: readonly TokenScope[];
  readonly state: "active" | "expired" | "revoked";
  readonly createdAtMs: number;
  /** Right to about a minute; absent: never used. */
  readonly lastUsedAtMs?: number;
  readonly expiresAtMs?: number;
  readonly revokedAtMs?: number;
}

/** A new token; its secret is in no later answer. */
export interface CreatedToken extends TokenSummary {
  /** `fl_` and 52 characters. */
  readonly secret: string;
}

export interface TokenList extends Paged {
  readonly tokens: readonly TokenSummary[];
}

/** Longest life that a token may be given; without one it has no end. */
export const TOKEN_LIFE_MS_MAX = 10 * 365 * 86_400_000;
