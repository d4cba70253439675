/**
 * Nodes that their provider says it may take back before long: EC2's rebalance recommendation.
 *
 * It comes earlier than the notice of a reclaim, if at all, and no reclaim need follow. So there
 * is no hurry: the node is cordoned and, since cordoned nodes do not count, another is rented in
 * the same tick, by another offer where one will do, and the offer rests, as after a reclaim. When the plan's line has its nodes again, what
 * is on the node finishes as in any drain. While nothing can be rented, it goes on as it is.
 *
 *     healthy --- at risk ---> cordoned --- its line is healthy without it ---> draining
 *
 * A node that was cordoned before the advice is somebody's order, and stays so.
 *
 * Pure.
 */
import { MS_PER_SECOND, type Node } from "../core/index.ts";
import type { ActionOf } from "./actions.ts";
import type { PoolNode } from "./observe.ts";
import { staffingOf } from "./rents.ts";
import { inSeconds, offerIdOfNode, type View } from "./snapshot.ts";

/** The advice has whole seconds, by the provider's clock. */
const CLOCK_TOLERANCE_MS = 2 * MS_PER_SECOND;

/** Since when a node that is to be replaced for it has been at risk. */
export function riskSinceMsOf(nodeId: string, { snapshot }: View): number | undefined {
  if (snapshot.policy.atRisk === "keep") return undefined;
  return snapshot.agents.get(nodeId)?.riskSinceMs;
}

/** Takes a healthy node that is at risk out of service. */
export function riskCordon({ nodeId, state }: Node, view: View): ActionOf<"cordon"> | undefined {
  const sinceMs = riskSinceMsOf(nodeId, view);
  if (sinceMs === undefined || state !== "healthy") return undefined;
  const agoMs = Math.max(0, view.nowMs - sinceMs);
  const reason = `its provider said ${inSeconds(agoMs)} ago that it may take the machine back`;
  return { kind: "cordon", nodeId, reason };
}

/** Drains of nodes that were cordoned for their risk and are replaced by now. */
export function riskDrains(staying: readonly PoolNode[], view: View): readonly ActionOf<"drain">[] {
  const leaving = staying.filter(({ record: { node } }) => isCordonedForRisk(node, view));
  if (leaving.length === 0 || view.snapshot.desired === undefined) return [];
  const healthy = staying.filter(({ record }) => record.node.state === "healthy");
  const { ownCountOf, substituteCountOf } = staffingOf(healthy, view);
  return leaving
    .filter((node) => {
      const offerId = offerIdOfNode(node);
      const wanted = view.lines.get(offerId)?.count ?? 0;
      const present = (ownCountOf.get(offerId) ?? 0) + (substituteCountOf.get(offerId) ?? 0);
      return present >= wanted;
    })
    .map(({ record: { node } }) => ({
      kind: "drain",
      nodeId: node.nodeId,
      cause: "risk",
      reason: "its provider may take the machine back, and the plan has what it wants without it",
    }));
}

function isCordonedForRisk({ nodeId, state, stateSinceMs }: Node, view: View): boolean {
  const sinceMs = riskSinceMsOf(nodeId, view);
  if (sinceMs === undefined || state !== "cordoned") return false;
  return stateSinceMs >= sinceMs - CLOCK_TOLERANCE_MS;
}
