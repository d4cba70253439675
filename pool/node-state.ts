/**
 * The life of a node as a state machine.
 *
 *     requested -> booting -> registered -> healthy <-> cordoned
 *         |           |           |            |           |
 *         |           +-----------+---- drain -+-----------+--> draining
 *         +-- every state but the last -- refuse, end --> terminated
 *
 * `terminated` is final: a machine that comes back is another node. An event that changes
 * nothing because it has happened already is `unchanged`, so that notices may repeat; any other
 * event that does not fit is `illegal`. Both are values, for the caller to log or ignore.
 */
import type { Node, NodeState } from "../core/index.ts";

/** What can happen to a node. */
export type NodeEvent =
  /** The provider has accepted the rent, or lists the machine. */
  | { readonly kind: "accepted"; readonly providerNodeId: string }
  /** The provider will not rent it. */
  | { readonly kind: "refuse" }
  /** Its agent has spoken for the first time. */
  | { readonly kind: "register" }
  /** Its checks have passed. */
  | { readonly kind: "pass-checks" }
  /** No new containers, but keep the machine. */
  | { readonly kind: "cordon" }
  | { readonly kind: "uncordon" }
  /** No new containers, and release the machine when it is empty. */
  | { readonly kind: "drain"; readonly byProvider?: true }
  /** The machine is gone, or never came. */
  | { readonly kind: "end"; readonly byProvider?: true };

/** Whether its provider takes the machine away, or has, without having been asked to. */
export function isByProvider(event: NodeEvent): boolean {
  return "byProvider" in event;
}

export type NodeTransition =
  | { readonly kind: "moved"; readonly node: Node }
  /** The event had happened before. */
  | { readonly kind: "unchanged"; readonly node: Node }
  | { readonly kind: "illegal"; readonly node: Node; readonly reason: string };

interface Rule {
  readonly from: readonly NodeState[];
  readonly to: NodeState;
  /** States in which the event is old news. */
  readonly already: readonly NodeState[];
}

/** States of a machine that is there and not on its way out. */
const PRESENT: readonly NodeState[] = ["booting", "registered", "healthy", "cordoned"];

const RULES: Readonly<Record<NodeEvent["kind"], Rule>> = {
  accepted: {
    from: ["requested"],
    to: "booting",
    already: [...PRESENT, "draining"],
  },
  refuse: { from: ["requested"], to: "terminated", already: ["terminated"] },
  register: {
    from: ["requested", "booting"],
    to: "registered",
    already: ["registered", "healthy", "cordoned", "draining"],
  },
  "pass-checks": { from: ["registered"], to: "healthy", already: ["healthy"] },
  cordon: { from: ["healthy"], to: "cordoned", already: ["cordoned"] },
  uncordon: { from: ["cordoned"], to: "healthy", already: ["healthy"] },
  drain: { from: PRESENT, to: "draining", already: ["draining"] },
  end: { from: ["requested", ...PRESENT, "draining"], to: "terminated", already: ["terminated"] },
};

/**
 * The node after an event. The provider's id is learnt from `accepted` in any living state,
 * since an agent can register before the answer to its rent arrives.
 */
export function nextNodeState(node: Node, event: NodeEvent, nowMs: number): NodeTransition {
  const rule = RULES[event.kind];
  const known = event.kind === "accepted" ? withProviderId(node, event.providerNodeId) : node;
  if (known === undefined) {
    const reason = `node ${node.nodeId} is machine ${node.providerNodeId ?? "?"} already`;
    return { kind: "illegal", node, reason };
  }
  if (rule.from.includes(node.state)) {
    return { kind: "moved", node: { ...known, state: rule.to, stateSinceMs: nowMs } };
  }
  if (rule.already.includes(node.state)) {
    return { kind: known === node ? "unchanged" : "moved", node: known };
  }
  const reason = `node ${node.nodeId} is ${node.state}, which does not allow ${event.kind}`;
  return { kind: "illegal", node, reason };
}

/** The node with its machine's id; `undefined` when it has another one. */
function withProviderId(node: Node, providerNodeId: string): Node | undefined {
  if (node.providerNodeId === undefined) return { ...node, providerNodeId };
  return node.providerNodeId === providerNodeId ? node : undefined;
}
