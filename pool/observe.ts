/**
 * Observation: what provider listings and agents say about the nodes in the ledger.
 *
 * A listing is complete or it is not used. A machine is a node's own when it has the node's
 * provider id, or, while the node has none yet, when its tags name the node (the oldest one
 * alive, should there be several). A machine that names no node but a batch of which nodes still
 * wait is one of theirs, and the request made again tells whose. Listings of real clouds lag
 * behind, so absence counts only after two complete listings in a row, when the rent is a minute
 * old, and never against a living agent. What carries our cluster's tag and is nobody's own is a
 * stray.
 *
 * Source: two listings and a minute follow the eventual consistency that EC2 documents for
 * its Describe calls.
 */
import { MS_PER_MINUTE, type Node } from "../core/index.ts";
import type { ProviderNode } from "../providers/index.ts";
import { nextNodeState, type NodeEvent } from "./node-state.ts";
import type { AgentSighting, PoolRecord } from "./ports.ts";

/** Tag on every machine we rent; its value is the cluster's id. */
export const CLUSTER_TAG = "flotilla:cluster";

/** Complete listings in a row without a machine before it counts as gone. */
export const ABSENT_COUNT_MIN = 2;

/** A machine may stay invisible for so long after its rent. */
export const VISIBILITY_GRACE_MS = MS_PER_MINUTE;

/**
 * A machine that names no node belongs to its batch for so long after the rent; one that nobody
 * could be told to own by then is a stray. As long as a machine may take to register.
 */
export const UNNAMED_GRACE_MS = 15 * MS_PER_MINUTE;

/** When a rent is not answered for so long, its first offer is taken for the one it was rented by. */
export const ANSWER_GRACE_MS = 5 * MS_PER_MINUTE;

/**
 * What the latest listing says of a node; `unknown` when none was made or it failed; `unnamed`
 * when a machine of its batch is listed that does not say whose it is.
 */
export type Listed = ProviderNode["state"] | "absent" | "unknown" | "unnamed";

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
  /** The machine of one of the records' nodes. */
  readonly machineOf: (node: Pick<Node, "nodeId" | "providerNodeId">) => ProviderNode | undefined;
  /** Client tokens of batches with living machines that name no node. */
  readonly unnamed: ReadonlySet<string>;
  /**
   * Machines of this cluster that no node owns, in the order listed: living ones, and those on
   * their way out, of which a create that failed half-way may be one for ever.
   */
  readonly strays: readonly ProviderNode[];
}

/** Matches a complete listing of one provider with its open records. O(both). */
export function matchMachines(
  records: readonly PoolRecord[],
  machines: readonly ProviderNode[],
  at: { readonly clusterId: string; readonly nowMs: number },
): Match {
  const byProviderId = new Map<string, ProviderNode>();
  for (const machine of machines) byProviderId.set(machine.providerNodeId, machine);
  const waiting = new Set<string>();
  let byNodeId: ReadonlyMap<string | undefined, ProviderNode[]> | undefined;
  const machineOf: Match["machineOf"] = ({ nodeId, providerNodeId }) => {
    if (providerNodeId !== undefined) return byProviderId.get(providerNodeId);
    byNodeId ??= Map.groupBy(machines, (one) => one.nodeId);
    return byNodeId.get(nodeId)?.toSorted(byLifeAndAge)[0];
  };
  let ownedCount = 0;
  for (const { node, clientToken, requestedAtMs } of records) {
    const machine = machineOf(node);
    // A machine names one node, so those that name theirs are different ones.
    if (machine !== undefined) ownedCount += Number(machine.nodeId === node.nodeId);
    else if (node.providerNodeId === undefined && at.nowMs - requestedAtMs < UNNAMED_GRACE_MS) {
      waiting.add(clientToken);
    }
  }
  // Mostly every machine has its owner, and then there is nothing to look for.
  const ownerless =
    ownedCount === machines.length ? [] : ownerlessOf(records, machines, machineOf, at.clusterId);
  const isWaitedFor = ({ state, nodeId, clientToken = "" }: ProviderNode): boolean =>
    isAlive({ state }) && nodeId === undefined && waiting.has(clientToken);
  return {
    machineOf,
    unnamed: new Set(ownerless.filter(isWaitedFor).map(({ clientToken = "" }) => clientToken)),
    strays: ownerless.filter((machine) => !isWaitedFor(machine)),
  };
}

function ownerlessOf(
  records: readonly PoolRecord[],
  machines: readonly ProviderNode[],
  machineOf: Match["machineOf"],
  clusterId: string,
): readonly ProviderNode[] {
  const owned = new Set(records.map(({ node }) => machineOf(node)?.providerNodeId));
  return machines.filter(
    ({ state, tags, providerNodeId }) =>
      state !== "terminated" && tags[CLUSTER_TAG] === clusterId && !owned.has(providerNodeId),
  );
}

/** What has happened to a node, oldest first. */
export function observe(
  node: PoolNode,
  seen: { readonly machine?: ProviderNode | undefined; readonly agent?: AgentSighting | undefined },
  nowMs: number,
): readonly Observation[] {
  const { record } = node;
  const { state, providerNodeId } = record.node;
  const observations: readonly Observation[] =
    providerNodeId === undefined ? listedAs(seen, record, nowMs) : NOTHING;
  const end = endOf(node, seen.agent, nowMs);
  if (end !== undefined) {
    const event = { kind: "end", ...(isOurs(node) ? {} : { byProvider: true as const }) } as const;
    return [...observations, { event, reason: end }];
  }
  if (node.listed === "terminating" && state !== "draining") {
    const reason = "its provider is taking the machine away";
    return [...observations, { event: { kind: "drain", byProvider: true }, reason }];
  }
  const arrival = arrivalOf(record, seen.agent);
  return observations.length === 0 ? arrival : [...observations, ...arrival];
}

const NOTHING: readonly Observation[] = [];

/** An agent that is heard registers its node, and passes its checks when it finds no fault. */
function arrivalOf(
  { node: { state }, requestedAtMs }: PoolRecord,
  agent: AgentSighting | undefined,
): readonly Observation[] {
  const isNew = state === "requested" || state === "booting";
  if (!isNew && state !== "registered") return NOTHING;
  if (agent === undefined || agent.lastHeardAtMs < requestedAtMs) return NOTHING;
  const isFit = (agent.faults ?? []).length === 0;
  const register = { event: { kind: "register" }, reason: "its agent has connected" } as const;
  const pass = { event: { kind: "pass-checks" }, reason: "its agent takes containers" } as const;
  return [...(isNew ? [register] : []), ...(isFit ? [pass] : [])];
}

/** The machine that a listing names for a node without one, unless the answer is needed. */
function listedAs(
  { machine }: { readonly machine?: ProviderNode | undefined },
  record: PoolRecord,
  nowMs: number,
): readonly Observation[] {
  if (machine === undefined || isAwaited(record, nowMs)) return [];
  const { providerNodeId } = machine;
  const reason = `its provider lists it as ${providerNodeId}`;
  return [{ event: { kind: "accepted", providerNodeId }, reason }];
}

/** Whether the answer to its rent is needed, to know by which of several offers it came. */
function isAwaited({ batch, requestedAtMs }: PoolRecord, nowMs: number): boolean {
  return (batch?.offers.length ?? 0) > 1 && nowMs - requestedAtMs < ANSWER_GRACE_MS;
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
 * Billing begins when the machine is known to be there and ends when it ends; the batch is
 * forgotten as soon as nothing is to be asked about it any more.
 */
export function recordAfter(record: PoolRecord, event: NodeEvent, at: ChangeAt): PoolRecord {
  const transition = nextNodeState(record.node, event, at.nowMs);
  if (transition.kind !== "moved") return record;
  const node = { ...transition.node, ...factsOf(event, at) };
  const { batch, ...rest } = record;
  if (node.state === "terminated") {
    return { ...rest, node, terminatedAtMs: at.releasedAtMs ?? at.nowMs };
  }
  const launchedAtMs = record.launchedAtMs ?? at.launchedAtMs ?? at.nowMs;
  const isKnown = node.providerNodeId !== undefined || batch === undefined;
  return { ...rest, ...(isKnown ? {} : { batch }), node, launchedAtMs };
}

/** What an agent that registers says of its machine. */
function factsOf(
  { kind }: NodeEvent,
  { agent }: ChangeAt,
): Partial<Pick<Node, "resources" | "isolation">> {
  if (kind !== "register" || agent === undefined) return {};
  const { resources, isolation } = agent;
  return { ...(resources ? { resources } : {}), ...(isolation ? { isolation } : {}) };
}

/** Whether the agent was heard within the time after which it counts as silent. */
export function isHeard(
  agent: AgentSighting | undefined,
  nowMs: number,
  heartbeatTimeoutMs: number,
): boolean {
  return agent !== undefined && nowMs - agent.lastHeardAtMs < heartbeatTimeoutMs;
}

/**
 * Whether a node works on a machine that its provider does not list, as when somebody has taken
 * our tags off it: it is kept, and what its release comes to cannot be seen.
 */
export function isUnlisted(
  node: PoolNode,
  agent: AgentSighting | undefined,
  nowMs: number,
): boolean {
  return isMissing(node, nowMs) && isHeard(agent, nowMs, VISIBILITY_GRACE_MS);
}

function endOf(
  node: PoolNode,
  agent: AgentSighting | undefined,
  nowMs: number,
): string | undefined {
  const ours = isOurs(node);
  if (node.listed === "terminated") return ours ? "released" : "its provider has ended the machine";
  if (!isMissing(node, nowMs) || isHeard(agent, nowMs, VISIBILITY_GRACE_MS)) return undefined;
  return ours ? "released" : "its provider no longer has the machine";
}

/** Whether complete listings lack a machine that they should have by now. */
function isMissing({ record, listed, absentCount }: PoolNode, nowMs: number): boolean {
  const settled = nowMs - record.requestedAtMs >= VISIBILITY_GRACE_MS;
  const known = record.node.providerNodeId !== undefined;
  return listed === "absent" && absentCount >= ABSENT_COUNT_MIN && settled && known;
}

/** Whether we are giving the machine back. */
function isOurs({ record, releasedAtMs }: PoolNode): boolean {
  return releasedAtMs !== undefined || record.node.state === "draining";
}

function isAlive(machine: Pick<ProviderNode, "state">): boolean {
  return machine.state === "booting" || machine.state === "running";
}

function byLifeAndAge(one: ProviderNode, other: ProviderNode): number {
  const life = Number(isAlive(other)) - Number(isAlive(one));
  if (life !== 0) return life;
  if (one.launchedAtMs !== other.launchedAtMs) return one.launchedAtMs - other.launchedAtMs;
  return one.providerNodeId < other.providerNodeId ? -1 : 1;
}
