/**
 * Room: what is left on one node while a round places containers.
 *
 * A container takes either whole GPUs (cards of its own) or a share of one card. Which card a
 * share sits on is not recorded anywhere; it is laid out on paper, always in the same way:
 * shares in falling order, each on the first shared card that still holds it, a fresh card
 * otherwise (first fit decreasing). Equal sets of containers therefore give equal layouts, in
 * whatever order they came, and a set that was placed once can always be laid out again.
 * Limit: the node agent may have its shares on other cards after some have left; it is the
 * arbiter and refuses what does not fit.
 *
 * Shares are counted in whole millionths of a card, so that three thirds fit on one card and
 * ten tenths fill it, with no rounding drift.
 */
import { assert, type Node, type PlacedContainer, type Resources } from "../core/index.ts";

/** Millionths of a card in a whole one. */
export const CARD = 1_000_000;

/** What one node has left. Free amounts are negative on a node that others overfilled. */
export interface Room {
  readonly node: Node;
  /** Whole cards of the machine. */
  readonly cardCount: number;
  /** Cards that containers have to themselves. */
  readonly wholeCardsTaken: number;
  /** Shares on the node in millionths of a card, largest first. */
  readonly shares: readonly number[];
  /** Millionths free on each card that holds shares, in the order the cards were opened. */
  readonly sharedCardsFree: readonly number[];
  readonly cpuMilliFree: number;
  readonly memoryMiBFree: number;
  readonly containerCount: number;
}

/**
 * The room of every node, in the order of `nodes`. Containers of unknown nodes are ignored.
 * O(nodes + containers log containers).
 */
export function roomsOf(
  nodes: readonly Node[],
  containers: readonly PlacedContainer[],
): ReadonlyMap<string, Room> {
  const held = Map.groupBy(containers, (container) => container.nodeId);
  const rooms = new Map<string, Room>();
  for (const node of nodes) {
    assert(!rooms.has(node.nodeId), `node ${node.nodeId} is in the fleet twice`);
    rooms.set(node.nodeId, roomOf(node, held.get(node.nodeId) ?? []));
  }
  return rooms;
}

/** The room after one more container has moved in; whether it fits is not checked. */
export function withContainer(room: Room, taken: Resources): Room {
  const shares = isShare(taken.gpuCount)
    ? [...room.shares, shareOf(taken.gpuCount)].sort((a, b) => b - a)
    : room.shares;
  return {
    ...room,
    wholeCardsTaken: room.wholeCardsTaken + wholeCardsOf(taken.gpuCount),
    shares,
    sharedCardsFree: shares === room.shares ? room.sharedCardsFree : layOut(shares),
    cpuMilliFree: room.cpuMilliFree - taken.cpuMilli,
    memoryMiBFree: room.memoryMiBFree - taken.memoryMiB,
    containerCount: room.containerCount + 1,
  };
}

/** Cards that nobody uses; never negative. */
export function freeCardsOf(room: Room): number {
  return Math.max(0, room.cardCount - room.wholeCardsTaken - room.sharedCardsFree.length);
}

/** GPUs free in all, shares included: 1.5 is one free card and half of another. */
export function freeGpusOf(room: Room): number {
  const shared = room.sharedCardsFree.reduce((sum, free) => sum + free, 0);
  return freeCardsOf(room) + shared / CARD;
}

/** Whether `gpuCount` GPUs (whole ones, or a share of one) can be had here. */
export function hasGpus(room: Room, gpuCount: number): boolean {
  if (gpuCount === 0) return true;
  if (!isShare(gpuCount)) return freeCardsOf(room) >= gpuCount;
  const cards = layOut([...room.shares, shareOf(gpuCount)].sort((a, b) => b - a)).length;
  return room.wholeCardsTaken + cards <= room.cardCount;
}

/** Whether a GPU count is a share of one card. */
export function isShare(gpuCount: number): boolean {
  return gpuCount > 0 && gpuCount < 1;
}

function roomOf(node: Node, containers: readonly PlacedContainer[]): Room {
  const total = (pick: (taken: Resources) => number): number =>
    containers.reduce((sum, container) => sum + pick(container.resources), 0);
  const shares = containers
    .map((container) => container.resources.gpuCount)
    .filter(isShare)
    .map(shareOf)
    .sort((a, b) => b - a);
  return {
    node,
    cardCount: Math.floor(node.resources.gpuCount),
    wholeCardsTaken: total((taken) => wholeCardsOf(taken.gpuCount)),
    shares,
    sharedCardsFree: layOut(shares),
    cpuMilliFree: node.resources.cpuMilli - total((taken) => taken.cpuMilli),
    memoryMiBFree: node.resources.memoryMiB - total((taken) => taken.memoryMiB),
    containerCount: containers.length,
  };
}

/** What is free on each card after first fit; `sharesDescending` is sorted. */
function layOut(sharesDescending: readonly number[]): readonly number[] {
  const free: number[] = [];
  for (const share of sharesDescending) {
    const card = free.findIndex((left) => left >= share);
    if (card < 0) free.push(CARD - share);
    else free[card] = (free[card] ?? 0) - share;
  }
  return free;
}

function shareOf(gpuCount: number): number {
  return Math.max(1, Math.round(gpuCount * CARD));
}

/** A count above 1 that is not whole takes the next whole number of cards. */
function wholeCardsOf(gpuCount: number): number {
  return isShare(gpuCount) ? 0 : Math.ceil(gpuCount);
}
