/** What a decision of the pool depends on, and what follows from it at a glance. */
import {
  MS_PER_MINUTE,
  MS_PER_SECOND,
  type CloudName,
  type MicroUsd,
  type Node,
  type Offer,
  type PlacedContainer,
  type PoolPolicy,
} from "../core/index.ts";
import type { Consolidation } from "./consolidate.ts";
import { fitnessOf, type Fitness, type WatchedNode } from "./fitness.ts";
import type { HeldPlan } from "./held-plan.ts";
import type { PoolNode } from "./observe.ts";
import type { AgentSighting, DesiredLine } from "./ports.ts";
import type { RefusalMemory } from "./refusals.ts";
import type { UnseenRegion } from "./unseen.ts";

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
  /** What plans wanted lately; absent means that only the present one counts. */
  readonly heldPlan?: HeldPlan;
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
  /** Regions and zones of other clouds that their last listing did not see; absent means none. */
  readonly unseen?: readonly UnseenRegion[];
  /** Since when agents could be heard: heartbeats before it may have been missed. */
  readonly watchingSinceMs: number;
  /** Most that the fleet may cost an hour, which the plan keeps to; absent means no limit. */
  readonly budgetMicroUsdPerHourMax?: MicroUsd;
  /** Clouds whose machines mostly do not become nodes: tried with one at a time. */
  readonly degradedClouds?: ReadonlySet<CloudName>;
  /** Which nodes in use are given up for others; absent means none. */
  readonly consolidation?: Pick<Consolidation, "moves" | "heldCountOf">;
  readonly policy: PoolPolicy;
}

/** A release that did not take effect is sent again after this. */
export const RELEASE_RETRY_MS = MS_PER_MINUTE;

/**
 * When more than this many agents, and more than the policy's fraction of all, fall silent
 * together, the fault is rather ours or a region's: nothing is terminated. Source of the count:
 * cluster-autoscaler's ok-total-unready-count.
 */
export const SILENT_COUNT_OK = 3;

export interface View {
  readonly snapshot: PoolSnapshot;
  readonly nowMs: number;
  readonly rented: readonly PoolNode[];
  readonly occupied: ReadonlySet<string>;
  readonly offersById: ReadonlyMap<string, Offer>;
  /** Lines of the plan by offer. */
  readonly lines: ReadonlyMap<string, DesiredLine>;
  /** When machines will be taken back, as providers or the machines say, the earlier; by node id. */
  readonly reclaimAtMs: ReadonlyMap<string, number>;
  /** Nodes whose agents have been silent for too long. */
  readonly silent: ReadonlySet<string>;
  /** Whether so many agents are silent that the fault is ours. */
  readonly deaf: boolean;
  readonly fitness: Fitness;
}

export function viewOf(snapshot: PoolSnapshot, nowMs: number): View {
  const rented = snapshot.nodes.filter(
    ({ record: { node } }) => isRented(node) && node.state !== "terminated",
  );
  const silent = new Set<string>();
  const reclaimAtMs = new Map<string, number>();
  const watched: WatchedNode[] = [];
  for (const { record } of rented) {
    const { node } = record;
    const agent = snapshot.agents.get(node.nodeId);
    const listedMs = snapshot.reclaimedAtMs.get(node.nodeId) ?? Infinity;
    const deadlineMs = Math.min(listedMs, agent?.reclaimAtMs ?? Infinity);
    if (deadlineMs < Infinity) reclaimAtMs.set(node.nodeId, deadlineMs);
    if (!hasAgent(node)) continue;
    const silentNow = isSilent(node, agent, { snapshot, nowMs });
    if (silentNow) silent.add(node.nodeId);
    watched.push({ node, agent, isSilent: silentNow });
  }
  const { unhealthyFractionMax } = snapshot.policy;
  const offersById = new Map(snapshot.offers.map((offer) => [offer.offerId, offer]));
  const occupied = new Set<string>();
  for (const { nodeId } of snapshot.containers) occupied.add(nodeId);
  return {
    snapshot,
    nowMs,
    rented,
    occupied,
    offersById,
    lines: new Map(snapshot.desired?.map((line) => [line.offerId, line])),
    silent,
    reclaimAtMs,
    deaf: silent.size > SILENT_COUNT_OK && silent.size / watched.length > unhealthyFractionMax,
    fitness: fitnessOf(watched, offersById, unhealthyFractionMax),
  };
}

/** Whether the pool rents and releases this node. */
export function isRented(node: Node): boolean {
  return node.offerId !== undefined && node.cloud !== "local";
}

/** Whether its agent was never heard of. */
export function isUnborn({ state }: Node): boolean {
  return state === "requested" || state === "booting";
}

export function isReady(node: Node): boolean {
  return node.state === "registered" || node.state === "healthy";
}

export function hasAgent(node: Node): boolean {
  return isReady(node) || node.state === "cordoned" || node.state === "draining";
}

/** Not heard since its last sign of life, its present state, and our own start. */
function isSilent(
  { stateSinceMs }: Node,
  agent: AgentSighting | undefined,
  { snapshot, nowMs }: { readonly snapshot: PoolSnapshot; readonly nowMs: number },
): boolean {
  const { heartbeatTimeoutMs } = snapshot.policy;
  const heardAtMs = agent?.lastHeardAtMs ?? 0;
  if (nowMs - heardAtMs < heartbeatTimeoutMs) return false;
  const sinceMs = Math.max(heardAtMs, stateSinceMs, snapshot.watchingSinceMs);
  return nowMs - sinceMs >= heartbeatTimeoutMs;
}

export function offerIdOfNode({ record }: PoolNode): string {
  return record.node.offerId ?? "";
}

export function inSeconds(durationMs: number): string {
  return `${Math.round(durationMs / MS_PER_SECOND)} s`;
}
