/**
 * API tokens: opaque, random, and kept only as their SHA-256.
 *
 * Looking a token up by its hash tells an attacker nothing by time: what is compared is the
 * hash of what he sent, which he cannot steer. The found row is compared once more in constant
 * time. Known tokens are cached for `CACHE_MS`, so a revoked one works at most that much longer;
 * unknown tokens are never cached, so guessing cannot push good ones out.
 */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import type { Clock, IdSource } from "../../core/index.ts";
import { TOKEN_PREFIX, type TokenScope } from "../../sdk/protocol/index.ts";
import type { StoredToken, TokenStore } from "../store/record-store.ts";

const TOKEN_BYTES = 32;
/** 32 bytes in base 32 without padding. */
const TOKEN_PATTERN = /^fl_[a-z2-7]{52}$/;
const BASE32 = "abcdefghijklmnopqrstuvwxyz234567";
/** How long a revoked token can still work in a process that has just used it. */
const CACHE_MS = 3_000;
const CACHED_TOKENS_MAX = 10_000;
/** How far behind the time of a token's last use may be. */
const USE_NOTED_EVERY_MS = 60_000;

export interface NewToken {
  readonly workspaceId: string;
  /** What the holder calls it. */
  readonly name: string;
  readonly kind: StoredToken["kind"];
  readonly scopes?: readonly TokenScope[];
  readonly nodeId?: string;
  readonly expiresAtMs?: number;
}

/**
 * Makes a token and stores its hash.
 *
 * @returns The secret (`fl_` and 52 characters), which is shown this once, and what was stored.
 * @throws PlatformError `unavailable` when the store cannot be reached.
 */
export async function createToken(
  store: Pick<TokenStore, "put">,
  token: NewToken,
  sources: {
    readonly clock: Pick<Clock, "nowMs">;
    readonly ids: IdSource;
    /** 32 bytes that nobody can guess; drawn at random unless given. */
    readonly secretBytes?: Uint8Array;
  },
): Promise<{ readonly token: string; readonly stored: StoredToken }> {
  const secret = tokenOfBytes(sources.secretBytes ?? randomBytes(TOKEN_BYTES));
  const stored: StoredToken = {
    ...token,
    tokenId: sources.ids.next("to"),
    sha256: hashToken(secret),
    createdAtMs: sources.clock.nowMs(),
  };
  await store.put(stored);
  return { token: secret, stored };
}

/** 32 bytes in the form of a token. */
export function tokenOfBytes(bytes: Uint8Array): string {
  return TOKEN_PREFIX + base32(bytes);
}

/** The SHA-256 (hex) under which a token is stored. */
export function hashToken(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}

/** The token in an `Authorization: Bearer fl_…` header; undefined when it is not one. */
export function bearerTokenOf(authorization: string | undefined): string | undefined {
  const [scheme, token, ...rest] = (authorization ?? "").split(" ");
  if (scheme?.toLowerCase() !== "bearer" || token === undefined || rest.length > 0) {
    return undefined;
  }
  return TOKEN_PATTERN.test(token) ? token : undefined;
}

export interface Authenticator {
  /**
   * Whose token an `Authorization` header carries; undefined when it is malformed, unknown,
   * revoked or expired. Cost: one hash, and at most one look-up per token and `CACHE_MS`.
   *
   * @throws PlatformError `unavailable` when the store cannot be reached.
   */
  readonly authenticate: (authorization: string | undefined) => Promise<StoredToken | undefined>;
  /** Looks every token up anew: one of them was revoked through this server. */
  readonly forget: () => void;
}

/** Checks tokens against the store, with a small cache. */
export function createAuthenticator(
  store: Pick<TokenStore, "find" | "noteUse">,
  clock: Pick<Clock, "nowMs">,
): Authenticator {
  const cache = new Map<string, { readonly token: StoredToken; readonly untilMs: number }>();
  const look = async (sha256: string, nowMs: number): Promise<StoredToken | undefined> => {
    const token = await store.find(sha256);
    cache.delete(sha256);
    if (token === undefined || !sameHash(token.sha256, sha256)) return undefined;
    const [oldest] = cache.keys();
    if (cache.size >= CACHED_TOKENS_MAX && oldest !== undefined) cache.delete(oldest);
    cache.set(sha256, { token, untilMs: nowMs + CACHE_MS });
    if (token.kind === "user" && isUsable(token, nowMs) && isUseNews(token, nowMs)) {
      await store.noteUse(token.tokenId, nowMs);
    }
    return token;
  };
  return {
    authenticate: async (authorization) => {
      const secret = bearerTokenOf(authorization);
      if (secret === undefined) return undefined;
      const nowMs = clock.nowMs();
      const sha256 = hashToken(secret);
      const cached = cache.get(sha256);
      const fresh = cached !== undefined && nowMs < cached.untilMs;
      const token = fresh ? cached.token : await look(sha256, nowMs);
      return token !== undefined && isUsable(token, nowMs) ? token : undefined;
    },
    forget: () => cache.clear(),
  };
}

/** Whether a token is neither revoked nor expired. */
export function isUsable(
  { revokedAtMs, expiresAtMs }: Pick<StoredToken, "revokedAtMs" | "expiresAtMs">,
  nowMs: number,
): boolean {
  return revokedAtMs === undefined && (expiresAtMs === undefined || nowMs < expiresAtMs);
}

function isUseNews({ lastUsedAtMs }: StoredToken, nowMs: number): boolean {
  return lastUsedAtMs === undefined || nowMs - lastUsedAtMs >= USE_NOTED_EVERY_MS;
}

function sameHash(left: string, right: string): boolean {
  return left.length === right.length && timingSafeEqual(Buffer.from(left), Buffer.from(right));
}

function base32(bytes: Uint8Array): string {
  let text = "";
  let bits = 0;
  let bitCount = 0;
  for (const byte of bytes) {
    bits = (bits << 8) | byte;
    bitCount += 8;
    while (bitCount >= 5) {
      bitCount -= 5;
      text += BASE32.charAt((bits >>> bitCount) & 31);
    }
    bits &= (1 << bitCount) - 1;
  }
  return bitCount === 0 ? text : text + BASE32.charAt((bits << (5 - bitCount)) & 31);
}
