/**
 * Reservations: nodes kept free for requests that have waited too long.
 *
 * A request that fits nowhere now gets the node that is closest to having room for it, by
 *
 *     gap(node) = max over resources of (wanted - free) / wanted
 *
 * and nothing younger is placed there. Chosen anew each round and remembered nowhere, which
 * is stable: nothing enters the node, so its gap never grows, and another one replaces it only
 * by a smaller gap. When containers end within some time, the oldest such request is therefore
 * placed within that time for each of finitely many gaps; the test holds the bound.
 */
import { failedProfileStage } from "../feasibility.ts";
import type { FleetIndex, IndexedNode } from "../fleet/fleet-index.ts";
import { CARD, type RequestClass } from "../fleet/request-class.ts";

/** What is reserved for a request, and how much of it. */
export interface Reservable {
  readonly request: RequestClass;
  /** Containers like this that need room: 1, or the members of a gang. */
  readonly count: number;
  readonly accepts: (node: IndexedNode) => boolean;
}

/** Nodes that would hold all containers once empty, closest to free first; empty when none do. */
export function nodesToReserve(
  index: FleetIndex,
  { request, count, accepts }: Reservable,
): readonly string[] {
  const candidates = [...index.nodes()]
    .filter((node) => failedProfileStage(node.profile, request) === undefined && accepts(node))
    .map((node) => ({ node, holds: countWhenEmpty(node, request) }))
    .filter(({ holds }) => holds > 0)
    .map((one) => ({ ...one, gap: gapOf(one.node, request) }))
    .sort((a, b) => a.gap - b.gap || a.node.rank - b.node.rank);
  const chosen: string[] = [];
  let left = count;
  for (const { node, holds } of candidates) {
    if (left <= 0) break;
    chosen.push(node.node.nodeId);
    left -= holds;
  }
  return left <= 0 ? chosen : [];
}

function countWhenEmpty({ profile }: IndexedNode, request: RequestClass): number {
  const cards =
    request.share > 0
      ? profile.cardCount * Math.floor(CARD / request.share)
      : times(profile.cardCount, request.cardCount);
  return Math.min(
    cards,
    times(profile.cpuMilli, request.cpuMilli),
    times(profile.memoryMiB, request.memoryMiB),
    times(profile.diskMiB, request.diskMiB),
  );
}

/** Infinite for what takes nothing: then any number fits. */
function times(total: number, each: number): number {
  return each > 0 ? Math.floor(total / each) : Number.POSITIVE_INFINITY;
}

function gapOf(node: IndexedNode, request: RequestClass): number {
  const wholeFree = node.cards.filter((free) => free === CARD).length;
  return Math.max(
    0,
    short(wholeFree, request.cardCount),
    short(Math.max(0, ...node.cards), request.share),
    short(node.cpuMilli, request.cpuMilli),
    short(node.memoryMiB, request.memoryMiB),
    short(node.diskMiB, request.diskMiB),
  );
}

function short(free: number, wanted: number): number {
  return wanted > 0 ? (wanted - free) / wanted : 0;
}
