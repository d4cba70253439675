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
  type MicroUsd,
  type Node,
  type Offer,
  type PlacedContainer,
  type PoolPolicy,
} from "../core/index.ts";
import { ABSENT_COUNT_MIN, isHeard, type PoolNode } from "./observe.ts";
import type { AgentSighting, DesiredLine } from "./ports.ts";
import { openRefusals, refusalOf, type RefusalMemory } from "./refusals.ts";
import { rentChoices, staffLines, type RentChoice, type Staffing } from "./stand-ins.ts";

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
  /** Most that the fleet may cost an hour, which the plan keeps to; absent means no limit. */
  readonly budgetMicroUsdPerHourMax?: MicroUsd;
  readonly policy: PoolPolicy;
}

/** One thing to do, with the reason. */
export type NodeAction =
  /** Rent nodes for a plan line; the caller gives them ids and each request a token. */
  | {
      readonly kind: "rent";
      /** The line's offer. */
      readonly offerId: string;
      /**
       * Offers of one request each, best first: a later request is made for what the earlier
       * ones did not give.
       */
      readonly choices: readonly (readonly string[])[];
      readonly count: number;
      readonly reason: string;
    }
  /** Send a request whose outcome is unknown for these nodes again, with the same token. */
  | {
      readonly kind: "resume";
      readonly clientToken: string;
      readonly nodeIds: readonly string[];
      readonly reason: string;
    }
  /** Give up a rent that never led to a machine. */
  | { readonly kind: "abandon"; readonly nodeId: string; readonly reason: string }
  /** No new containers on it. */
  | {
      readonly kind: "drain";
      readonly nodeId: string;
      readonly reason: string;
      /** Whether its offer is to be left alone for a while. */
      readonly blamesOffer: boolean;
    }
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

/** The actions of some kinds. */
export type ActionOf<K extends NodeAction["kind"]> = Extract<NodeAction, { kind: K }>;

/** A release that did not take effect is sent again after this. */
export const RELEASE_RETRY_MS = MS_PER_MINUTE;

/** What is on a node that is taken back leaves it so long before the end. */
export const RECLAIM_MARGIN_MS = 10 * MS_PER_SECOND;

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
  const leaving = new Set(perNode.map(({ nodeId }) => nodeId));
  const staying = view.rented.filter(({ record }) => !leaving.has(record.node.nodeId));
  const present = staying.filter(({ record }) => isReady(record.node));
  const coming = staying.filter(({ record }) => isReady(record.node) || isUnborn(record.node));
  const actions = [
    ...perNode,
    ...resumes(staying, view),
    ...strayActions(view),
    ...surplusDrains(present, view),
    ...rents(staffingOf(coming, view), reclaimedOffers(view), view),
  ];
  return actions
    .sort((one, other) => URGENCY[one.kind] - URGENCY[other.kind])
    .slice(0, snapshot.policy.actionCountMaxPerTick);
}

/** Whether its agent was never heard of. */
export function isUnborn({ state }: Node): boolean {
  return state === "requested" || state === "booting";
}

/** Whether the pool rents and releases this node. */
export function isRented(node: Node): boolean {
  return node.offerId !== undefined && node.cloud !== "local";
}

type PerNodeAction = Exclude<NodeAction, { kind: "rent" | "release-stray" | "resume" }>;

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
  readonly offersById: ReadonlyMap<string, Offer>;
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
    offersById: new Map(snapshot.offers.map((offer) => [offer.offerId, offer])),
    lines: new Map(snapshot.desired?.map((line) => [line.offerId, line])),
    deaf: silent > SILENT_COUNT_OK && silent / watched.length > SILENT_FRACTION_MAX,
  };
}

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
  return lost(node, view) ?? reclaimDrain(nodeId, view);
}

function whileDraining(node: PoolNode, view: View): PerNodeAction | undefined {
  const { nodeId, stateSinceMs } = node.record.node;
  const silent = lost(node, view);
  if (silent !== undefined) return silent;
  const reclaimAtMs = reclaimDeadlineOf(nodeId, view) ?? Infinity;
  const { drainTimeoutMs } = view.snapshot.policy;
  const deadlineMs = Math.min(stateSinceMs + drainTimeoutMs, reclaimAtMs - RECLAIM_MARGIN_MS);
  const occupied = view.occupied.has(nodeId);
  if ((occupied && view.nowMs < deadlineMs) || isReleasing(node, view)) return undefined;
  const drainedFor = inSeconds(view.nowMs - stateSinceMs);
  const reason = occupied ? `not empty after ${drainedFor} of draining` : "empty";
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
  const deadlineMs = reclaimDeadlineOf(nodeId, view);
  if (deadlineMs === undefined) return undefined;
  const leftMs = Math.max(0, deadlineMs - view.nowMs);
  const reason = `its provider takes the machine back in ${inSeconds(leftMs)}`;
  return { kind: "drain", nodeId, reason, blamesOffer: true };
}

/** When a machine will be taken back: as its provider or the machine itself says, the earlier. */
function reclaimDeadlineOf(nodeId: string, { snapshot }: View): number | undefined {
  const listed = snapshot.reclaimedAtMs.get(nodeId);
  const told = snapshot.agents.get(nodeId)?.reclaimAtMs;
  return listed === undefined || told === undefined ? (listed ?? told) : Math.min(listed, told);
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

/**
 * Drains nodes beyond the plan that have been empty long enough, the longest empty first. Only
 * nodes that are ready count: none is given up for one that is still to come.
 */
function surplusDrains(ready: readonly PoolNode[], view: View): readonly NodeAction[] {
  const { desired, emptySinceMs, policy } = view.snapshot;
  if (desired === undefined) return [];
  const { keptCountOf } = staffingOf(ready, view);
  return [...Map.groupBy(ready, offerIdOfNode)].flatMap(([offerId, nodes]) => {
    const wanted = (view.lines.get(offerId)?.count ?? 0) + (keptCountOf.get(offerId) ?? 0);
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
        blamesOffer: false,
        reason: `the plan wants ${wanted} of ${nodes.length}; empty for ${inSeconds(view.nowMs - sinceMs)}`,
      }));
  });
}

function staffingOf(nodes: readonly PoolNode[], { lines, offersById }: View): Staffing {
  return staffLines(
    lines,
    nodes.map(({ record }) => record.node),
    offersById,
  );
}

/** Offers whose machines are being taken back: asked for last, when all else is short. */
function reclaimedOffers(view: View): ReadonlySet<string> {
  const reclaimed = view.rented.filter(
    ({ record }) => reclaimDeadlineOf(record.node.nodeId, view) !== undefined,
  );
  return new Set(reclaimed.map(offerIdOfNode));
}

function rents(
  staffing: Staffing,
  reclaimed: ReadonlySet<string>,
  view: View,
): readonly NodeAction[] {
  const { policy, unreachableClouds } = view.snapshot;
  const isOpen = openness(staffing, view);
  const actions: NodeAction[] = [];
  let roomLeft = Math.max(0, policy.nodeCountMax - view.rented.length);
  let extraLeft = spareBudget(view);
  for (const line of view.lines.values()) {
    if (roomLeft <= 0 || actions.length >= policy.actionCountMaxPerTick) break;
    const wanted = view.offersById.get(line.offerId);
    if (wanted === undefined || unreachableClouds.has(wanted.cloud)) continue;
    const { replacing, missing } = lacking(line, staffing, isOpen(wanted));
    if (replacing + missing === 0) continue;
    const replacingCount = Math.min(replacing, roomLeft);
    const missingCount = Math.min(missing, roomLeft - replacingCount);
    const choices = rentChoices(line, wanted, {
      offers: view.snapshot.offers,
      isOpen,
      isLast: ({ offerId }) => reclaimed.has(offerId),
      priceFactorMax: policy.standInPriceFactorMax,
      extraMicroUsdPerHourMax: extraLeft / Math.max(1, missingCount),
    });
    const own = [rentAction(line, [[wanted]], replacingCount)];
    const all = [rentAction(line, choices, missingCount)];
    const asked = [...own, ...all].filter(
      ({ count, choices: some }) => count > 0 && some.length > 0,
    );
    actions.push(...asked);
    roomLeft -= asked.reduce((sum, { count }) => sum + count, 0);
    extraLeft -= missingCount * extraOf(choices, wanted);
  }
  return actions;
}

/**
 * What a line lacks: nodes in whose place others serve already, which only its own offer may
 * replace, and nodes that are missing altogether.
 */
function lacking(
  { offerId, count }: DesiredLine,
  { ownCountOf, substituteCountOf }: Staffing,
  isWantedOpen: boolean,
): { readonly replacing: number; readonly missing: number } {
  const substitutes = substituteCountOf.get(offerId) ?? 0;
  const missing = Math.max(0, count - (ownCountOf.get(offerId) ?? 0) - substitutes);
  return { replacing: isWantedOpen ? substitutes : 0, missing };
}

function rentAction(
  { offerId, reason }: DesiredLine,
  choices: readonly RentChoice[],
  count: number,
): ActionOf<"rent"> {
  const ids = choices.map((choice) => choice.map((offer) => offer.offerId));
  return { kind: "rent", offerId, choices: ids, count, reason };
}

/** Whether an offer can be rented now, by all that is known. */
function openness(
  { ownCountOf }: Staffing,
  { snapshot, lines, nowMs }: View,
): (offer: Offer) => boolean {
  const { unreachableClouds, refusals } = snapshot;
  const open = openRefusals(refusals, nowMs);
  return (offer) => {
    if (unreachableClouds.has(offer.cloud)) return false;
    if (refusalOf(open, offer, nowMs) !== undefined) return false;
    const planned = lines.get(offer.offerId)?.count ?? 0;
    const taken = Math.max(planned, ownCountOf.get(offer.offerId) ?? 0);
    return planned > 0 || taken < offer.nodeCountMax;
  };
}

/** What the fleet may cost beyond the plan; without a budget there is no end to it. */
function spareBudget(view: View): MicroUsd {
  const { offersById } = view;
  const { budgetMicroUsdPerHourMax = Infinity } = view.snapshot;
  let planned = 0;
  for (const { offerId, count } of view.lines.values()) {
    planned += count * (offersById.get(offerId)?.priceMicroUsdPerHour ?? 0);
  }
  for (const { record } of view.rented) {
    const { offerId = "", priceMicroUsdPerHour } = record.node;
    if (!offersById.has(offerId) || !view.lines.has(offerId)) planned += priceMicroUsdPerHour;
  }
  return Math.max(0, budgetMicroUsdPerHourMax - planned);
}

/** The most that a machine of these choices can cost beyond the wanted one. */
function extraOf(choices: readonly RentChoice[], wanted: Offer): MicroUsd {
  const prices = choices.flat().map((offer) => offer.priceMicroUsdPerHour);
  return Math.max(0, Math.max(0, ...prices) - wanted.priceMicroUsdPerHour);
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
