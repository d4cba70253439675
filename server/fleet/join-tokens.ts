/**
 * Join tokens: with which a rented machine's agent connects the first time.
 *
 * A token is derived from the node's id and a key of this platform, so that a rent that is
 * asked for again after a crash carries the same user data as the first time; it is good once.
 */
import { createHmac } from "node:crypto";
import type { Clock, IdSource } from "../../core/index.ts";
import { createToken } from "../auth/tokens.ts";
import type { TokenStore } from "../store/record-store.ts";

export interface JoinTokensOptions {
  readonly tokens: TokenStore;
  readonly clock: Clock;
  readonly ids: IdSource;
  /** Known to this platform alone, the same after every restart. */
  readonly key: Uint8Array;
  readonly workspaceId: string;
  /** How long a machine may take to join. */
  readonly lifetimeMs: number;
}

/** Gives the join token of a node, stored and ready to be used once. */
export async function joinTokenFor(nodeId: string, options: JoinTokensOptions): Promise<string> {
  const { tokens, clock, ids, key, workspaceId, lifetimeMs } = options;
  const secretBytes = createHmac("sha256", key).update(nodeId).digest();
  const { token } = await createToken(
    tokens,
    {
      kind: "join",
      name: `join of ${nodeId}`,
      workspaceId,
      nodeId,
      expiresAtMs: clock.nowMs() + lifetimeMs,
    },
    { clock, ids, secretBytes },
  );
  return token;
}
