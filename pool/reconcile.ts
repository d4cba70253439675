/**
 * Reconciliation: the actions that make the rented fleet equal to the plan.
 *
 * Level-triggered: every tick looks at the whole state and says what is still to be done, so
 * that a lost action or a crash is mended by the next tick. Order is by urgency: nodes that
 * failed, releases, rents whose outcome is unknown, drains, and only then new rents.
 *
 * Guarantees, held by tests: at most `actionCountMaxPerTick` actions; at most `nodeCountMax`
 * rented nodes; a node with containers is released only when it is draining past its deadline
 * or lost; nothing is concluded from a provider that did not answer; machines that are not
 * rented are never touched; without a plan nothing is rented and nothing drained as surplus.
 *
 * Pure: equal snapshots give equal actions, order included. O(nodes + containers + lines).
 */
import {
  assertNever,
  MS_PER_MINUTE,
  MS_PER_SECOND,
  type CloudName,
  type Node,
  type Offer,
  type PlacedContainer,
  type PoolPolicy,
} from "../core/index.ts";
import { ABSENT_COUNT_MIN, isHeard, type PoolNode } from "./observe.ts";
import type { AgentSighting, DesiredLine } from "./ports.ts";
import { refusalOf, type RefusalMemory } from "./refusals.ts";

/** A living machine of this cluster that no record owns. */
export interface Stray {
  readonly cloud: CloudName;
  readonly providerNodeId: string;
  readonly launchedAtMs: number;
}

/** Everything a decision depends on. */
export interface PoolSnapshot {
  /** Absent while there is no plan; offers without a line are wanted no more. */
  readonly desired: readonly DesiredLine[] | undefined;
  readonly offers: readonly Offer[];
  /** Open nodes; those that are not rented are ignored. */
  readonly nodes: readonly PoolNode[];
  readonly containers: readonly PlacedContainer[];
  readonly agents: ReadonlyMap<string, AgentSighting>;
  readonly emptySinceMs: ReadonlyMap<string, number>;
  readonly refusals: RefusalMemory;
  /** Nodes their provider will take back, and when. */
  readonly reclaimedAtMs: ReadonlyMap<string, number>;
  readonly strays: readonly Stray[];
  /** Clouds whose last listing failed. */
  readonly unreachableClouds: ReadonlySet<CloudName>;
  /** Since when agents could be heard: heartbeats before it may have been missed. */
  readonly watchingSinceMs: number;
  readonly policy: PoolPolicy;
}

/** One thing to do, with the reason. */
export type NodeAction =
  /** Rent a node of this offer; the caller gives it an id and a token. */
  | { readonly kind: "rent"; readonly offerId: string; readonly reason: string }
  /** Send a rent whose outcome is unknown again, with the same token. */
  | { readonly kind: "resume"; readonly nodeId: string; readonly reason: string }
  /** Give up a rent that never led to a machine. */
  | { readonly kind: "abandon"; readonly nodeId: string; readonly reason: string }
  /** No new containers on it. */
  | { readonly kind: "drain"; readonly nodeId: string; readonly reason: string }
  /** Give back a drained machine. */
  | { readonly kind: "release"; readonly nodeId: string; readonly reason: string }
  /** Give back a machine that failed; what is on it is lost. */
  | {
      readonly kind: "terminate";
      readonly nodeId: string;
      readonly reason: string;
      /** Whether the failure counts against its offer. */
      readonly blamesOffer: boolean;
    }
  /** Give back a machine of ours that nobody owns. */
  | {
      readonly kind: "release-stray";
      readonly cloud: CloudName;
      readonly providerNodeId: string;
      readonly reason: string;
    };

/** A release that did not take effect is sent again after this. */
export const RELEASE_RETRY_MS = MS_PER_MINUTE;

/** A stray this old is no longer somebody's rent in flight. */
export const STRAY_GRACE_MS = MS_PER_MINUTE;

/**
 * When more than this many agents, and more than this part of all, fall silent together, the
 * fault is rather ours: nothing is terminated. Source: cluster-autoscaler's defaults
 * (ok-total-unready-count 3, max-total-unready-percentage 45).
 */
export const SILENT_COUNT_OK = 3;
export const SILENT_FRACTION_MAX = 0.45;

/** What to do now, most urgent first. */
export function reconcile(snapshot: PoolSnapshot, nowMs: number): readonly NodeAction[] {
  const view = viewOf(snapshot, nowMs);
  const perNode = view.rented.flatMap((node) => actionFor(node, view) ?? []);
  const leaving = new Set(perNode.flatMap((one) => (one.kind === "resume" ? [] : [one.nodeId])));
  const staying = view.rented.filter(({ record }) => !leaving.has(record.node.nodeId));
  const actions = [
    ...perNode,
    ...strayActions(view),
    ...surplusDrains(staying, view),
    ...rents(staying, view),
  ];
  return actions
    .sort((one, other) => URGENCY[one.kind] - URGENCY[other.kind])
    .slice(0, snapshot.policy.actionCountMaxPerTick);
}

/** Whether the pool rents and releases this node. */
export function isRented(node: Node): boolean {
  return node.offerId !== undefined && node.cloud !== "local";
}

type PerNodeAction = Exclude<NodeAction, { kind: "rent" | "release-stray" }>;

const URGENCY: Readonly<Record<NodeAction["kind"], number>> = {
  terminate: 0,
  abandon: 0,
  release: 1,
  "release-stray": 1,
  resume: 2,
  drain: 3,
  rent: 4,
};

interface View {
  readonly snapshot: PoolSnapshot;
  readonly nowMs: number;
  readonly rented: readonly PoolNode[];
  readonly occupied: ReadonlySet<string>;
  /** Lines of the plan by offer. */
  readonly lines: ReadonlyMap<string, DesiredLine>;
  /** Whether so many agents are silent that the fault is ours. */
  readonly deaf: boolean;
}

function viewOf(snapshot: PoolSnapshot, nowMs: number): View {
  const rented = snapshot.nodes.filter(
    ({ record: { node } }) => isRented(node) && node.state !== "terminated",
  );
  const watched = rented.filter(({ record }) => hasAgent(record.node));
  const silent = watched.filter((node) => isSilent(node, snapshot, nowMs)).length;
  return {
    snapshot,
    nowMs,
    rented,
    occupied: new Set(snapshot.containers.map((container) => container.nodeId)),
    lines: new Map(snapshot.desired?.map((line) => [line.offerId, line])),
    deaf: silent > SILENT_COUNT_OK && silent / watched.length > SILENT_FRACTION_MAX,
  };
}

function actionFor(node: PoolNode, view: View): PerNodeAction | undefined {
  const { state, providerNodeId } = node.record.node;
  if (state === "requested" || providerNodeId === undefined) return whileUnanswered(node, view);
  switch (state) {
    case "booting":
      return whileBooting(node, view);
    case "registered":
    case "healthy":
    case "cordoned":
      return whileServing(node, view);
    case "draining":
      return whileDraining(node, view);
    case "terminated":
      return undefined;
    default:
      return assertNever(state, "node state");
  }
}

/** A rent whose answer never came: only a listing that does not have it lets us ask again. */
function whileUnanswered({ record, listed, absentCount }: PoolNode, view: View) {
  const { nodeId, state } = record.node;
  if (listed !== "absent") return undefined;
  const { launchTimeoutMs } = view.snapshot.policy;
  const ageMs = view.nowMs - record.requestedAtMs;
  if (ageMs >= launchTimeoutMs) {
    const reason = `no machine came of its rent within ${inSeconds(launchTimeoutMs)}`;
    if (absentCount < ABSENT_COUNT_MIN || isAgentHere(nodeId, view)) return undefined;
    return { kind: "abandon", nodeId, reason } as const;
  }
  if (state !== "requested") return undefined;
  return { kind: "resume", nodeId, reason: "the outcome of its rent is unknown" } as const;
}

function whileBooting(node: PoolNode, view: View): PerNodeAction | undefined {
  const { nodeId, stateSinceMs } = node.record.node;
  const { registrationTimeoutMs } = view.snapshot.policy;
  if (view.nowMs - stateSinceMs < registrationTimeoutMs) return reclaimDrain(nodeId, view);
  const reason = `its agent did not register within ${inSeconds(registrationTimeoutMs)}`;
  return terminate(node, { reason, blamesOffer: true }, view);
}

function whileServing(node: PoolNode, view: View): PerNodeAction | undefined {
  const { nodeId } = node.record.node;
  return lost(node, view) ?? reclaimDrain(nodeId, view);
}

function whileDraining(node: PoolNode, view: View): PerNodeAction | undefined {
  const { nodeId, stateSinceMs } = node.record.node;
  const silent = lost(node, view);
  if (silent !== undefined) return silent;
  const { drainTimeoutMs } = view.snapshot.policy;
  const overdue = view.nowMs - stateSinceMs >= drainTimeoutMs;
  const occupied = view.occupied.has(nodeId);
  if ((occupied && !overdue) || isReleasing(node, view)) return undefined;
  const reason = occupied ? `not empty after ${inSeconds(drainTimeoutMs)} of draining` : "empty";
  return { kind: "release", nodeId, reason };
}

function lost(node: PoolNode, view: View): PerNodeAction | undefined {
  if (view.deaf || !isSilent(node, view.snapshot, view.nowMs)) return undefined;
  const silence = inSeconds(view.snapshot.policy.heartbeatTimeoutMs);
  const reason = `lost: its agent has been silent for ${silence}`;
  return terminate(node, { reason, blamesOffer: false }, view);
}

function terminate(
  node: PoolNode,
  why: { readonly reason: string; readonly blamesOffer: boolean },
  view: View,
): PerNodeAction | undefined {
  if (isReleasing(node, view)) return undefined;
  return { kind: "terminate", nodeId: node.record.node.nodeId, ...why };
}

function reclaimDrain(nodeId: string, view: View): PerNodeAction | undefined {
  const deadlineMs = view.snapshot.reclaimedAtMs.get(nodeId);
  if (deadlineMs === undefined) return undefined;
  const leftMs = Math.max(0, deadlineMs - view.nowMs);
  const reason = `its provider takes the machine back in ${inSeconds(leftMs)}`;
  return { kind: "drain", nodeId, reason };
}

function strayActions({ snapshot, nowMs }: View): readonly NodeAction[] {
  return snapshot.strays
    .filter(({ launchedAtMs }) => nowMs - launchedAtMs >= STRAY_GRACE_MS)
    .map(({ cloud, providerNodeId }) => ({
      kind: "release-stray",
      cloud,
      providerNodeId,
      reason: "it carries this cluster's tag and no record owns it",
    }));
}

/** Drains nodes beyond the plan that have been empty long enough, the longest empty first. */
function surplusDrains(staying: readonly PoolNode[], view: View): readonly NodeAction[] {
  const { desired, emptySinceMs, policy } = view.snapshot;
  if (desired === undefined) return [];
  const ready = staying.filter(({ record: { node } }) => isReady(node));
  return [...Map.groupBy(ready, offerIdOfNode)].flatMap(([offerId, nodes]) => {
    const wanted = view.lines.get(offerId)?.count ?? 0;
    return nodes
      .flatMap(({ record: { node } }) => {
        const sinceMs = emptySinceMs.get(node.nodeId);
        if (sinceMs === undefined || view.occupied.has(node.nodeId)) return [];
        return [{ nodeId: node.nodeId, sinceMs }];
      })
      .filter(({ sinceMs }) => view.nowMs - sinceMs >= policy.idleReleaseMs)
      .sort((a, b) => a.sinceMs - b.sinceMs || (a.nodeId < b.nodeId ? -1 : 1))
      .slice(0, Math.max(0, nodes.length - wanted))
      .map(({ nodeId, sinceMs }) => ({
        kind: "drain" as const,
        nodeId,
        reason: `the plan wants ${wanted} of ${nodes.length}; empty for ${inSeconds(view.nowMs - sinceMs)}`,
      }));
  });
}

function rents(staying: readonly PoolNode[], view: View): readonly NodeAction[] {
  const { offers, policy, refusals, unreachableClouds } = view.snapshot;
  const coming = staying.filter(
    ({ record: { node } }) =>
      isReady(node) || node.state === "requested" || node.state === "booting",
  );
  const present = Map.groupBy(coming, offerIdOfNode);
  const offersById = new Map(offers.map((offer) => [offer.offerId, offer]));
  const actions: NodeAction[] = [];
  let roomLeft = Math.max(0, policy.nodeCountMax - view.rented.length);
  for (const { offerId, count: wanted, reason } of view.lines.values()) {
    const offer = offersById.get(offerId);
    if (offer === undefined || unreachableClouds.has(offer.cloud)) continue;
    if (refusalOf(refusals, offer, view.nowMs) !== undefined) continue;
    const missing = wanted - (present.get(offerId)?.length ?? 0);
    const count = Math.min(missing, roomLeft, policy.actionCountMaxPerTick - actions.length);
    for (let added = 0; added < count; added += 1) actions.push({ kind: "rent", offerId, reason });
    roomLeft -= Math.max(0, count);
  }
  return actions;
}

function offerIdOfNode({ record }: PoolNode): string {
  return record.node.offerId ?? "";
}

function isReady(node: Node): boolean {
  return node.state === "registered" || node.state === "healthy";
}

function hasAgent(node: Node): boolean {
  return isReady(node) || node.state === "cordoned" || node.state === "draining";
}

function isReleasing({ listed, releasedAtMs }: PoolNode, view: View): boolean {
  if (listed === "terminating") return true;
  return releasedAtMs !== undefined && view.nowMs - releasedAtMs < RELEASE_RETRY_MS;
}

function isAgentHere(nodeId: string, { snapshot, nowMs }: View): boolean {
  return isHeard(snapshot.agents.get(nodeId), nowMs, snapshot.policy.heartbeatTimeoutMs);
}

/** Not heard since its last sign of life, its present state, and our own start. */
function isSilent({ record: { node } }: PoolNode, snapshot: PoolSnapshot, nowMs: number): boolean {
  if (!hasAgent(node)) return false;
  const heardAtMs = snapshot.agents.get(node.nodeId)?.lastHeardAtMs ?? 0;
  const sinceMs = Math.max(heardAtMs, node.stateSinceMs, snapshot.watchingSinceMs);
  return nowMs - sinceMs >= snapshot.policy.heartbeatTimeoutMs;
}

function inSeconds(durationMs: number): string {
  return `${Math.round(durationMs / MS_PER_SECOND)} s`;
}
