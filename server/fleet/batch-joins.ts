/**
 * How rented machines join: one token for a batch, redeemed once by each of its machines.
 *
 * All machines of a batch are given the same user data, so the same token. It is derived from the
 * batch's name and a key of this platform and stored nowhere: a rent that is asked for again
 * after a crash carries the same one. What it opens is decided by the ledger: which nodes the
 * batch has, which machine each of them is, and which of them have joined.
 *
 * A machine says by which ids its provider may know it. That is no proof: the token alone keeps
 * strangers out, and the ids tell the machines of one batch apart.
 *
 * `judgeJoin` is pure. O(nodes of the batch).
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import type { StoredNode } from "../store/record-store.ts";
import { tokenOfBytes } from "../auth/tokens.ts";

/** What a connecting machine claims. */
export interface JoinClaim {
  readonly token: string;
  /** The client token of its batch. */
  readonly batch: string;
  /** The ids by which its provider may know it. */
  readonly machineIds: readonly string[];
}

/** What the ledger says to a claim. */
export type JoinAnswer =
  | { readonly kind: "joins"; readonly nodeId: string }
  /** Its rent is not answered yet: it is to ask again. */
  | { readonly kind: "too-early" }
  | { readonly kind: "refused"; readonly reason: string };

/** The token that the machines of a batch join with. */
export function batchTokenOf(batch: string, key: Uint8Array): string {
  return tokenOfBytes(createHmac("sha256", key).update(`join ${batch}`).digest());
}

/** Whether a token is the one of a batch, compared in constant time. */
export function isBatchToken(claim: Pick<JoinClaim, "token" | "batch">, key: Uint8Array): boolean {
  const expected = Buffer.from(batchTokenOf(claim.batch, key));
  const given = Buffer.from(claim.token);
  return expected.length === given.length && timingSafeEqual(expected, given);
}

/**
 * Whether a machine may join, and as which node.
 *
 * @param nodes all open nodes; ended ones are not known any more.
 */
export function judgeJoin(
  claim: JoinClaim,
  nodes: readonly StoredNode[],
  at: { readonly key: Uint8Array; readonly nowMs: number; readonly lifetimeMs: number },
): JoinAnswer {
  if (!isBatchToken(claim, at.key)) return refused("the token is not the one of its batch");
  const own = nodes.filter(({ clientToken }) => clientToken === claim.batch);
  if (own.length === 0) return refused(`no node of batch ${claim.batch} is open`);
  const known = own.find(({ node }) => isMachine(node.providerNodeId, claim.machineIds));
  if (known === undefined) {
    const isOpen = own.some(({ node }) => node.providerNodeId === undefined);
    return isOpen ? { kind: "too-early" } : refused("no node of its batch is this machine");
  }
  const { node, requestedAtMs, joinedAtMs } = known;
  if (joinedAtMs !== undefined) return refused(`node ${node.nodeId} has joined already`);
  if (at.nowMs - requestedAtMs >= at.lifetimeMs) {
    return refused(`the time to join as node ${node.nodeId} is over`);
  }
  if (node.state === "draining") return refused(`node ${node.nodeId} is being given back`);
  return { kind: "joins", nodeId: node.nodeId };
}

/** A provider's id of a machine may name its place before it: `us-east-1/i-0abc`. */
function isMachine(providerNodeId: string | undefined, machineIds: readonly string[]): boolean {
  if (providerNodeId === undefined) return false;
  const last = providerNodeId.slice(providerNodeId.lastIndexOf("/") + 1);
  return machineIds.some((id) => id === providerNodeId || id === last);
}

function refused(reason: string): JoinAnswer {
  return { kind: "refused", reason };
}
