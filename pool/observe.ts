/**
 * Observation: what provider listings and agents say about the nodes in the ledger.
 *
 * A listing is complete or it is not used. A machine is a node's own when it has the node's
 * provider id, or, while the node has none yet, when its tags name the node (the oldest one
 * alive, should there be several). Listings of real clouds lag behind, so absence counts only
 * after two complete listings in a row, when the rent is a minute old, and never against a
 * living agent. What carries our cluster's tag and is nobody's own is a stray.
 *
 * Source: two listings and a minute follow the eventual consistency that EC2 documents for
 * its Describe calls.
 */
import { MS_PER_MINUTE } from "../core/index.ts";
import type { ProviderNode } from "../providers/index.ts";
import { nextNodeState, type NodeEvent } from "./node-state.ts";
import type { AgentSighting, PoolRecord } from "./ports.ts";

/** Tag on every machine we rent; its value is the cluster's id. */
export const CLUSTER_TAG = "flotilla:cluster";

/** Complete listings in a row without a machine before it counts as gone. */
export const ABSENT_COUNT_MIN = 2;

/** A machine may stay invisible for so long after its rent. */
export const VISIBILITY_GRACE_MS = MS_PER_MINUTE;

/** What the latest listing says of a node; `unknown` when none was made or it failed. */
export type Listed = ProviderNode["state"] | "absent" | "unknown";

/** A node of the ledger and what is known of its machine. */
export interface PoolNode {
  readonly record: PoolRecord;
  readonly listed: Listed;
  /** Complete listings in a row that did not have it. */
  readonly absentCount: number;
  /** When a release of it was last accepted, by this process. */
  readonly releasedAtMs?: number;
}

/** Something that has happened to a node, and how we know. */
export interface Observation {
  readonly event: NodeEvent;
  readonly reason: string;
}

/** Which machines belong to which nodes of one provider. */
export interface Match {
  /** By node id. */
  readonly machineOf: ReadonlyMap<string, ProviderNode>;
  /** Living machines of this cluster that no node owns, in the order listed. */
  readonly strays: readonly ProviderNode[];
}

/** Matches a complete listing of one provider with its open records. O(both). */
export function matchMachines(
  records: readonly PoolRecord[],
  machines: readonly ProviderNode[],
  clusterId: string,
): Match {
  const byProviderId = new Map(machines.map((machine) => [machine.providerNodeId, machine]));
  const byNodeId = Map.groupBy(machines, (machine) => machine.nodeId);
  const machineOf = new Map<string, ProviderNode>();
  const owned = new Set<string>();
  for (const { node } of records) {
    const machine =
      node.providerNodeId === undefined
        ? (byNodeId.get(node.nodeId) ?? []).toSorted(byLifeAndAge)[0]
        : byProviderId.get(node.providerNodeId);
    if (machine === undefined) continue;
    machineOf.set(node.nodeId, machine);
    owned.add(machine.providerNodeId);
  }
  const strays = machines.filter(
    (machine) =>
      isAlive(machine) &&
      machine.tags[CLUSTER_TAG] === clusterId &&
      !owned.has(machine.providerNodeId),
  );
  return { machineOf, strays };
}

/** What has happened to a node, oldest first. */
export function observe(
  node: PoolNode,
  seen: { readonly machine?: ProviderNode | undefined; readonly agent?: AgentSighting | undefined },
  nowMs: number,
): readonly Observation[] {
  const { record } = node;
  const { state, providerNodeId } = record.node;
  const observations: Observation[] = [];
  if (seen.machine !== undefined && providerNodeId === undefined) {
    const event = { kind: "accepted", providerNodeId: seen.machine.providerNodeId } as const;
    observations.push({ event, reason: `its provider lists it as ${event.providerNodeId}` });
  }
  const end = endOf(node, seen.agent, nowMs);
  if (end !== undefined) return [...observations, { event: { kind: "end" }, reason: end }];
  if (node.listed === "terminating" && state !== "draining") {
    const reason = "its provider is taking the machine away";
    return [...observations, { event: { kind: "drain" }, reason }];
  }
  const heard = seen.agent !== undefined && seen.agent.lastHeardAtMs >= record.requestedAtMs;
  if (heard && (state === "requested" || state === "booting")) {
    observations.push({ event: { kind: "register" }, reason: "its agent has connected" });
  }
  if (heard && ["requested", "booting", "registered"].includes(state)) {
    observations.push({ event: { kind: "pass-checks" }, reason: "its agent takes containers" });
  }
  return observations;
}

/** What a change of a record depends on besides the event. */
export interface ChangeAt {
  readonly nowMs: number;
  /** The provider's own time of the launch, when listed. */
  readonly launchedAtMs?: number | undefined;
  /** When its release was accepted: billing ends there. */
  readonly releasedAtMs?: number | undefined;
  /** What its agent says of the machine. */
  readonly agent?: AgentSighting | undefined;
}

/**
 * The record after an event; the same record when nothing changes or the event does not fit.
 * Billing begins when the machine is known to be there and ends when it ends.
 */
export function recordAfter(record: PoolRecord, event: NodeEvent, at: ChangeAt): PoolRecord {
  const transition = nextNodeState(record.node, event, at.nowMs);
  if (transition.kind !== "moved") return record;
  const { agent } = at;
  const node = {
    ...transition.node,
    ...(event.kind === "register" && agent?.resources ? { resources: agent.resources } : {}),
    ...(event.kind === "register" && agent?.isolation ? { isolation: agent.isolation } : {}),
  };
  if (node.state === "terminated") {
    return { ...record, node, terminatedAtMs: at.releasedAtMs ?? at.nowMs };
  }
  return { ...record, node, launchedAtMs: record.launchedAtMs ?? at.launchedAtMs ?? at.nowMs };
}

/** Whether the agent was heard within the time after which it counts as silent. */
export function isHeard(
  agent: AgentSighting | undefined,
  nowMs: number,
  heartbeatTimeoutMs: number,
): boolean {
  return agent !== undefined && nowMs - agent.lastHeardAtMs < heartbeatTimeoutMs;
}

function endOf(
  node: PoolNode,
  agent: AgentSighting | undefined,
  nowMs: number,
): string | undefined {
  const { record, listed, absentCount, releasedAtMs } = node;
  const ours = releasedAtMs !== undefined || record.node.state === "draining";
  if (listed === "terminated") return ours ? "released" : "its provider has ended the machine";
  const settled = nowMs - record.requestedAtMs >= VISIBILITY_GRACE_MS;
  const absent = listed === "absent" && absentCount >= ABSENT_COUNT_MIN && settled;
  const known = record.node.providerNodeId !== undefined;
  if (!absent || !known || isHeard(agent, nowMs, VISIBILITY_GRACE_MS)) return undefined;
  return ours ? "released" : "its provider no longer has the machine";
}

function isAlive(machine: ProviderNode): boolean {
  return machine.state === "booting" || machine.state === "running";
}

function byLifeAndAge(one: ProviderNode, other: ProviderNode): number {
  const life = Number(isAlive(other)) - Number(isAlive(one));
  if (life !== 0) return life;
  if (one.launchedAtMs !== other.launchedAtMs) return one.launchedAtMs - other.launchedAtMs;
  return one.providerNodeId < other.providerNodeId ? -1 : 1;
}
