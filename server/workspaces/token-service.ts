/** The tokens of workspaces: made, listed, revoked. A secret is told once and never kept. */
import { PlatformError, type Clock, type IdSource } from "../../core/index.ts";
import type { TokenSummary } from "../../sdk/protocol/index.ts";
import { allows } from "../auth/scopes.ts";
import { createToken, isUsable } from "../auth/tokens.ts";
import type { TokenService } from "../services.ts";
import type { RecordStore, StoredToken } from "../store/record-store.ts";

export interface TokenServiceOptions {
  readonly store: Pick<RecordStore, "tokens">;
  readonly clock: Pick<Clock, "nowMs">;
  readonly ids: IdSource;
}

/** Tokens that one workspace may have at once, spent ones included. */
const TOKENS_MAX = 1_000;

/** Tokens over the record store. */
export function createTokenService({ store, clock, ids }: TokenServiceOptions): TokenService {
  const listOf = async (workspaceId: string): Promise<readonly StoredToken[]> =>
    (await store.tokens.list(workspaceId)).filter(({ kind }) => kind === "user");
  return {
    create: async ({ workspaceId, scopes: held = [] }, { name, scopes, expiresInMs }) => {
      const beyond = scopes.filter((scope) => !allows(held, scope));
      if (beyond.length > 0) {
        throw refusal(
          "invalid_request",
          `a token cannot make one with more scopes than its own: yours lacks ${beyond.join(", ")}`,
        );
      }
      const nowMs = clock.nowMs();
      const working = (await listOf(workspaceId)).filter((token) => isUsable(token, nowMs));
      if (working.length >= TOKENS_MAX) {
        const message = `the workspace has ${TOKENS_MAX} tokens already; revoke what nobody uses`;
        throw refusal("quota_exceeded", message);
      }
      const { token: secret, stored } = await createToken(
        store.tokens,
        {
          workspaceId,
          name,
          kind: "user",
          scopes: [...new Set(scopes)],
          ...(expiresInMs === undefined ? {} : { expiresAtMs: nowMs + expiresInMs }),
        },
        { clock, ids },
      );
      return { ...summaryOf(stored, nowMs), secret };
    },

    list: async ({ workspaceId }) => {
      const nowMs = clock.nowMs();
      return (await listOf(workspaceId)).map((token) => summaryOf(token, nowMs));
    },

    revoke: async ({ workspaceId, scopes: held = [] }, tokenId) => {
      const nowMs = clock.nowMs();
      const known = (await listOf(workspaceId)).find((token) => token.tokenId === tokenId);
      const beyond = (known?.scopes ?? []).filter((scope) => !allows(held, scope));
      if (beyond.length > 0) {
        const message = `a token cannot revoke one with more scopes than its own: ${beyond.join(", ")}`;
        throw refusal("invalid_request", message);
      }
      const revoked = await store.tokens.revoke(workspaceId, tokenId, nowMs);
      if (revoked !== undefined) return summaryOf(revoked, nowMs);
      throw refusal("not_found", `there is no token ${tokenId} in this workspace`);
    },
  };
}

function summaryOf(token: StoredToken, nowMs: number): TokenSummary {
  const { tokenId, name, scopes = [], createdAtMs, lastUsedAtMs, expiresAtMs, revokedAtMs } = token;
  const spent = revokedAtMs === undefined ? "expired" : "revoked";
  return {
    tokenId,
    name,
    scopes,
    state: isUsable(token, nowMs) ? "active" : spent,
    createdAtMs,
    ...(lastUsedAtMs === undefined ? {} : { lastUsedAtMs }),
    ...(expiresAtMs === undefined ? {} : { expiresAtMs }),
    ...(revokedAtMs === undefined ? {} : { revokedAtMs }),
  };
}

function refusal(
  code: "invalid_request" | "not_found" | "quota_exceeded",
  message: string,
): PlatformError {
  return new PlatformError(message, { code, retryable: false });
}
