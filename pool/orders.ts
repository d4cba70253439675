/**
 * What operators order for single nodes, carried out between two decisions of the pool.
 *
 * An order changes the record and nothing else: what follows (containers leave, the machine is
 * released) is the pool's own next decision.
 */
import type { Node } from "../core/index.ts";
import { nextNodeState, type NodeEvent } from "./node-state.ts";
import type { PoolRecord } from "./ports.ts";
import { isRented } from "./snapshot.ts";

/** An order for one node. */
export interface Order {
  readonly nodeId: string;
  /** `release` is a drain whose deadline has passed. */
  readonly kind: "cordon" | "uncordon" | "drain" | "release";
  /** Of a drain: when all must have left the node; the policy's time when absent. */
  readonly drainByMs?: number;
  /** Why, in the operator's words. */
  readonly reason: string;
}

/** What came of an order. */
export type OrderOutcome =
  | { readonly kind: "done"; readonly node: Node }
  /** It was so already. */
  | { readonly kind: "unchanged"; readonly node: Node }
  | { readonly kind: "not_found" }
  | { readonly kind: "refused"; readonly reason: string };

/** What an order does to a record, or why it does nothing. */
export type Ruling =
  | { readonly kind: "move"; readonly record: PoolRecord; readonly event: NodeEvent }
  /** The node is in that state already; only its deadline changes. */
  | { readonly kind: "rewrite"; readonly record: PoolRecord }
  | Exclude<OrderOutcome, { kind: "done" }>;

/** Rules on an order. Pure. */
export function ruleOn(order: Order, record: PoolRecord | undefined, nowMs: number): Ruling {
  if (record === undefined) return { kind: "not_found" };
  const { node } = record;
  if (!isRented(node)) {
    const reason = `node ${node.nodeId} is a machine of your own, which the pool does not manage`;
    return { kind: "refused", reason };
  }
  const isDrain = order.kind === "drain" || order.kind === "release";
  const event: NodeEvent = isDrain ? { kind: "drain" } : { kind: order.kind };
  const drainByMs = order.kind === "release" ? nowMs : order.drainByMs;
  const isDated = isDrain && drainByMs !== undefined;
  const dated = isDated ? { ...record, drainByMs } : record;
  const transition = nextNodeState(node, event, nowMs);
  switch (transition.kind) {
    case "moved":
      return { kind: "move", record: dated, event };
    case "unchanged":
      return isDated ? { kind: "rewrite", record: dated } : { kind: "unchanged", node };
    case "illegal":
      return { kind: "refused", reason: transition.reason };
  }
}
