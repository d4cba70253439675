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
import { assertNever, MS_PER_MINUTE, MS_PER_SECOND } from "../core/index.ts";
import type { NodeAction } from "./actions.ts";
import type { Fitness } from "./fitness.ts";
import { heldCount, isHeldFor, NO_PLAN_HELD } from "./held-plan.ts";
import { ABSENT_COUNT_MIN, isHeard, type PoolNode } from "./observe.ts";
import { riskCordon, riskDrains } from "./risk.ts";
import { reclaimedOffers, rents, staffingOf } from "./rents.ts";
import {
  inSeconds,
  isReady,
  isUnborn,
  offerIdOfNode,
  RELEASE_RETRY_MS,
  viewOf,
  type PoolSnapshot,
  type View,
} from "./snapshot.ts";

/** What is on a node that is taken back leaves it so long before the end. */
export const RECLAIM_MARGIN_MS = 10 * MS_PER_SECOND;

/** A stray this old is no longer somebody's rent in flight. */
export const STRAY_GRACE_MS = MS_PER_MINUTE;

/** What to do now, most urgent first. */
export function reconcile(snapshot: PoolSnapshot, nowMs: number): readonly NodeAction[] {
  return lookAndReconcile(snapshot, nowMs).actions;
}

/** What a look at everything gives. */
export interface Look {
  readonly actions: readonly NodeAction[];
  readonly fitness: Fitness;
  /** When draining nodes are released even if they are occupied, by node id. */
  readonly releaseByMs: ReadonlyMap<string, number>;
}

/** The same, which nodes are unfit, and how long draining ones stay. */
export function lookAndReconcile(snapshot: PoolSnapshot, nowMs: number): Look {
  const view = viewOf(snapshot, nowMs);
  const draining = view.rented.filter(({ record: { node } }) => node.state === "draining");
  return {
    actions: actionsIn(view),
    fitness: view.fitness,
    releaseByMs: new Map(
      draining.map((node) => [node.record.node.nodeId, releaseByMsOf(node, view)]),
    ),
  };
}

function actionsIn(view: View): readonly NodeAction[] {
  const perNode: PerNodeAction[] = [];
  const staying: PoolNode[] = [];
  for (const node of view.rented) {
    const action = actionFor(node, view);
    if (action === undefined) staying.push(node);
    else perNode.push(action);
  }
  const present = staying.filter(({ record }) => isReady(record.node));
  const coming = staying.filter(({ record }) => isReady(record.node) || isUnborn(record.node));
  const actions = [
    ...perNode,
    ...resumes(staying, view),
    ...strayActions(view),
    ...riskDrains(staying, view),
    ...moveDrains(present, view),
    ...surplusDrains(present, view),
    ...rents(staffingOf(coming, view), reclaimedOffers(view), view),
  ];
  return actions
    .sort((one, other) => URGENCY[one.kind] - URGENCY[other.kind])
    .slice(0, view.snapshot.policy.actionCountMaxPerTick);
}

type PerNodeAction = Exclude<NodeAction, { kind: "rent" | "release-stray" | "resume" }>;

const URGENCY: Readonly<Record<NodeAction["kind"], number>> = {
  terminate: 0,
  abandon: 0,
  release: 1,
  "release-stray": 1,
  resume: 2,
  cordon: 3,
  drain: 3,
  rent: 4,
};

function actionFor(node: PoolNode, view: View): PerNodeAction | undefined {
  const { state } = node.record.node;
  if (isUnanswered(node)) return whileUnanswered(node, view);
  switch (state) {
    case "booting":
      return whileBooting(node, view);
    case "registered":
    case "healthy":
    case "cordoned":
      return whileServing(node, view);
    case "draining":
      return whileDraining(node, view);
    case "requested":
    case "terminated":
      return undefined;
    default:
      return assertNever(state, "node state");
  }
}

function isUnanswered({ record: { node } }: PoolNode): boolean {
  return node.state === "requested" || node.providerNodeId === undefined;
}

/** A rent whose answer never came, and no machine either. */
function whileUnanswered({ record, listed, absentCount }: PoolNode, view: View) {
  const { nodeId } = record.node;
  const { launchTimeoutMs } = view.snapshot.policy;
  if (listed !== "absent" || absentCount < ABSENT_COUNT_MIN) return undefined;
  if (view.nowMs - record.requestedAtMs < launchTimeoutMs) return undefined;
  if (isAgentHere(nodeId, view)) return undefined;
  const reason = `no machine came of its rent within ${inSeconds(launchTimeoutMs)}`;
  return { kind: "abandon", nodeId, reason } as const;
}

/**
 * Requests whose answer never came: after a listing they are made again, to learn whether there
 * are machines, which is whose, and by which offers. When none is listed they are not made again
 * after the launch timeout, lest a late machine come of a rent that is given up.
 */
function resumes(staying: readonly PoolNode[], view: View): readonly NodeAction[] {
  const { launchTimeoutMs } = view.snapshot.policy;
  const waiting = staying.filter((node) => {
    const { record, listed } = node;
    if (!isUnanswered(node) || record.batch === undefined || listed === "unknown") return false;
    return listed !== "absent" || view.nowMs - record.requestedAtMs < launchTimeoutMs;
  });
  const batches = Map.groupBy(waiting, ({ record }) => record.clientToken);
  return [...batches].map(([clientToken, nodes]) => ({
    kind: "resume",
    clientToken,
    nodeIds: nodes.map(({ record }) => record.node.nodeId),
    reason: "the outcome of its rent is unknown",
  }));
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
  const urgent = lost(node, view) ?? reclaimDrain(nodeId, view) ?? repairDrain(nodeId, view);
  return urgent ?? riskCordon(node.record.node, view);
}

function whileDraining(node: PoolNode, view: View): PerNodeAction | undefined {
  const { nodeId, stateSinceMs } = node.record.node;
  const silent = lost(node, view);
  if (silent !== undefined) return silent;
  const occupied = view.occupied.has(nodeId);
  const mayStay = occupied && view.nowMs < releaseByMsOf(node, view);
  if (mayStay || isReleasing(node, view)) return undefined;
  const drainedFor = inSeconds(view.nowMs - stateSinceMs);
  const reason = occupied ? `not empty after ${drainedFor} of draining` : "empty";
  return { kind: "release", nodeId, reason };
}

/** When a draining node is released even if it is occupied. */
function releaseByMsOf({ record }: PoolNode, view: View): number {
  const { nodeId, stateSinceMs } = record.node;
  const reclaimAtMs = view.reclaimAtMs.get(nodeId) ?? Infinity;
  const byMs = record.drainByMs ?? stateSinceMs + view.snapshot.policy.drainTimeoutMs;
  return Math.min(byMs, reclaimAtMs - RECLAIM_MARGIN_MS);
}

function lost(node: PoolNode, view: View): PerNodeAction | undefined {
  if (view.deaf || !view.silent.has(node.record.node.nodeId)) return undefined;
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
  const deadlineMs = view.reclaimAtMs.get(nodeId);
  if (deadlineMs === undefined) return undefined;
  const leftMs = Math.max(0, deadlineMs - view.nowMs);
  const reason = `its provider takes the machine back in ${inSeconds(leftMs)}`;
  return { kind: "drain", nodeId, reason, cause: "reclaim" };
}

/** The whole machine is given up for one fault, unless too many have some at once. */
function repairDrain(nodeId: string, { fitness }: View): PerNodeAction | undefined {
  const fault = fitness.faults.get(nodeId);
  if (fault === undefined || fitness.isRepairHalted) return undefined;
  const reason = `unfit: ${fault}`;
  return { kind: "drain", nodeId, reason, cause: "fault" };
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

/** Drains nodes whose containers are better off elsewhere. */
function moveDrains(staying: readonly PoolNode[], view: View): readonly NodeAction[] {
  const { moves = [] } = view.snapshot.consolidation ?? {};
  if (moves.length === 0) return [];
  const ready = new Set(
    staying.flatMap(({ record: { node } }) => (isReady(node) ? [node.nodeId] : [])),
  );
  return moves
    .filter(({ nodeId }) => ready.has(nodeId))
    .map(({ nodeId, reason }) => ({ kind: "drain", nodeId, reason, cause: "move" }));
}

/**
 * Drains empty nodes beyond the plans of the last while, the longest empty first. Only nodes that
 * are ready count: none is given up for one that is still to come.
 */
function surplusDrains(ready: readonly PoolNode[], view: View): readonly NodeAction[] {
  const { desired, heldPlan = NO_PLAN_HELD, emptySinceMs, policy } = view.snapshot;
  if (desired === undefined) return [];
  const hold = { nowMs: view.nowMs, holdMs: policy.idleReleaseMs };
  const emptyForMs = isHeldFor(heldPlan, hold) ? 0 : hold.holdMs;
  const idle = ready.flatMap((one) => {
    const { nodeId } = one.record.node;
    const sinceMs = emptySinceMs.get(nodeId) ?? Infinity;
    const isDue = view.nowMs - sinceMs >= emptyForMs && !view.occupied.has(nodeId);
    return isDue ? [{ nodeId, offerId: offerIdOfNode(one), sinceMs }] : [];
  });
  if (idle.length === 0) return [];
  const { keptCountOf, ownCountOf } = staffingOf(ready, view);
  return [...Map.groupBy(idle, ({ offerId }) => offerId)].flatMap(([offerId, nodes]) => {
    const planned = Math.max(view.lines.get(offerId)?.count ?? 0, heldCount(heldPlan, offerId));
    const wanted = planned + (keptCountOf.get(offerId) ?? 0);
    const count = ownCountOf.get(offerId) ?? 0;
    return nodes
      .sort((a, b) => a.sinceMs - b.sinceMs || (a.nodeId < b.nodeId ? -1 : 1))
      .slice(0, Math.max(0, count - wanted))
      .map(({ nodeId, sinceMs }) => ({
        kind: "drain" as const,
        nodeId,
        cause: "surplus" as const,
        reason: `the plan wants ${wanted} of ${count}; empty for ${inSeconds(view.nowMs - sinceMs)}`,
      }));
  });
}

/**
 * Whether a release was sent a moment ago. A machine that its provider lists as terminating is
 * released all the same: it may have stopped, or be half made, and stay so until somebody asks.
 */
function isReleasing({ releasedAtMs }: PoolNode, view: View): boolean {
  return releasedAtMs !== undefined && view.nowMs - releasedAtMs < RELEASE_RETRY_MS;
}

function isAgentHere(nodeId: string, { snapshot, nowMs }: View): boolean {
  return isHeard(snapshot.agents.get(nodeId), nowMs, snapshot.policy.heartbeatTimeoutMs);
}
