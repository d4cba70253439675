/**
 * Packs containers of several classes on nodes that are all alike, in two dimensions and more.
 *
 * Filling node by node with the largest first wastes whatever the large ones leave over: eight
 * small-cpu containers take all GPUs of a node, and the cpu-hungry fractions find none. When the
 * totals fit N nodes, the whole part of an Nth of every class fits each node; so all nodes take
 * that, and what remains, fewer than N of each class, goes one by one to the node whose free room
 * is most like the container (largest dot product of need and free share). First-fit by
 * decreasing size is tried too; the one that leaves less wins.
 *
 * Source: R. Panigrahy et al., Heuristics for Vector Bin Packing, Microsoft Research (2011), for
 * the dot product.
 */
import type { Resources } from "../core/index.ts";
import { largestShare } from "./costs.ts";
import {
  fitCount,
  placeFirstFit,
  roomAfter,
  roomOf,
  type NodeRoom,
  type NodeStack,
} from "./packing.ts";

/** What to pack. */
export interface PackItem {
  readonly classIndex: number;
  readonly needs: Resources;
  readonly quantity: number;
}

/** Nodes that hold the same containers; idle ones are left out. */
export interface PackedNodes {
  readonly nodeCount: number;
  readonly room: NodeRoom;
  readonly containers: ReadonlyMap<number, number>;
}

export interface GroupPacking {
  readonly nodes: readonly PackedNodes[];
  /** Containers that found no room, all classes together. */
  readonly leftover: number;
}

/** Packs as many as it can on `nodeCount` empty nodes. */
export function packGroup(
  resources: Resources,
  nodeCount: number,
  items: readonly PackItem[],
): GroupPacking {
  const sorted = [...items]
    .filter(({ quantity }) => quantity > 0)
    .sort(
      (a, b) =>
        largestShare(resources, b.needs) - largestShare(resources, a.needs) ||
        a.classIndex - b.classIndex,
    );
  if (nodeCount === 0) return { nodes: [], leftover: total(sorted) };
  const filled = packFirstFit(resources, nodeCount, sorted);
  if (filled.leftover === 0 || sorted.length === 1) return filled;
  const balanced = packBalanced(resources, nodeCount, sorted);
  return balanced.leftover < filled.leftover ? balanced : filled;
}

/** Gives the nodes of a packing to a group's offers in order. */
export function toOffers(
  offerIndexes: readonly number[],
  counts: readonly number[],
  nodes: readonly PackedNodes[],
): readonly NodeStack[] {
  const stacks: NodeStack[] = [];
  const queue = offerIndexes.map((offerIndex) => ({
    offerIndex,
    left: counts[offerIndex] ?? 0,
  }));
  for (const { nodeCount, room, containers } of nodes) {
    let open = nodeCount;
    for (const entry of queue) {
      const taken = Math.min(open, entry.left);
      if (taken === 0) continue;
      stacks.push({ offerIndex: entry.offerIndex, nodeCount: taken, room, containers });
      entry.left -= taken;
      open -= taken;
    }
  }
  return stacks;
}

function total(items: readonly PackItem[]): number {
  return items.reduce((sum, { quantity }) => sum + quantity, 0);
}

function packFirstFit(
  resources: Resources,
  nodeCount: number,
  items: readonly PackItem[],
): GroupPacking {
  let stacks: readonly NodeStack[] = [
    { offerIndex: -1, nodeCount, room: roomOf(resources), containers: new Map() },
  ];
  let leftover = 0;
  for (const item of items) {
    const placed = placeFirstFit(stacks, item);
    stacks = placed.stacks;
    leftover += placed.leftover;
  }
  return { nodes: used(stacks), leftover };
}

function used(nodes: readonly PackedNodes[]): readonly PackedNodes[] {
  return nodes.filter(({ containers }) => containers.size > 0);
}

interface Open {
  nodeCount: number;
  room: NodeRoom;
  containers: ReadonlyMap<number, number>;
}

function packBalanced(
  resources: Resources,
  nodeCount: number,
  items: readonly PackItem[],
): GroupPacking {
  let room = roomOf(resources);
  const base = new Map<number, number>();
  const rest: PackItem[] = [];
  for (const item of items) {
    const each = Math.min(Math.floor(item.quantity / nodeCount), fitCount(room, item.needs));
    if (each > 0) {
      room = roomAfter(room, item.needs, each);
      base.set(item.classIndex, each);
    }
    rest.push({ ...item, quantity: item.quantity - each * nodeCount });
  }
  const nodes: Open[] = [{ nodeCount, room, containers: base }];
  let leftover = 0;
  for (const item of rest) leftover += placeOneByOne(resources, nodes, item);
  return { nodes: used(nodes), leftover };
}

/** Places containers of a class singly, each on the node that suits it best. */
function placeOneByOne(resources: Resources, nodes: Open[], item: PackItem): number {
  for (let left = item.quantity; left > 0; left -= 1) {
    let best: Open | undefined;
    let bestScore = -Infinity;
    for (const open of nodes) {
      if (fitCount(open.room, item.needs) === 0) continue;
      const score = alikeness(resources, open.room, item.needs);
      if (score > bestScore) [best, bestScore] = [open, score];
    }
    if (!best) return left;
    const containers = new Map(best.containers);
    containers.set(item.classIndex, (containers.get(item.classIndex) ?? 0) + 1);
    const room = roomAfter(best.room, item.needs, 1);
    if (best.nodeCount === 1) {
      best.room = room;
      best.containers = containers;
    } else {
      best.nodeCount -= 1;
      nodes.push({ nodeCount: 1, room, containers });
    }
  }
  return 0;
}

/** Need and free room as shares of a node, multiplied and added up. */
function alikeness(node: Resources, room: NodeRoom, needs: Resources): number {
  const freeGpus = room.gpuShares.reduce((sum, share) => sum + share, 0);
  return (
    product(needs.gpuCount, freeGpus, node.gpuCount) +
    product(needs.cpuMilli, room.cpuMilli, node.cpuMilli) +
    product(needs.memoryMiB, room.memoryMiB, node.memoryMiB)
  );
}

function product(need: number, free: number, has: number): number {
  return has > 0 ? (need / has) * (free / has) : 0;
}
