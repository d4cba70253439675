/**
 * Packing containers on whole nodes.
 *
 * A node is its free cpu and memory and the free share of each of its GPUs: a container with
 * whole GPUs takes GPUs that nothing else uses, a fraction sits on one single GPU. Nodes that
 * look alike are kept as one stack with a count, so the cost depends on the number of different
 * nodes and not on how many there are.
 *
 * `placeFirstFit` fills the first stack that has room, node by node. It never overfills a node
 * and gives back what it could not place; it may miss a packing that exists.
 */
import type { Resources } from "../core/index.ts";

/** Sums of fractions closer than this to a whole share count as equal. */
const SHARE_TOLERANCE = 1e-9;

/** What is free on a node. */
export interface NodeRoom {
  readonly cpuMilli: number;
  readonly memoryMiB: number;
  /** Free share of each GPU, ascending. */
  readonly gpuShares: readonly number[];
}

/** Nodes of one offer that hold the same containers. */
export interface NodeStack {
  readonly offerIndex: number;
  readonly nodeCount: number;
  readonly room: NodeRoom;
  /** Containers on each node: class index to quantity >= 1. */
  readonly containers: ReadonlyMap<number, number>;
}

/** An empty node. */
export function roomOf(resources: Resources): NodeRoom {
  return {
    cpuMilli: resources.cpuMilli,
    memoryMiB: resources.memoryMiB,
    gpuShares: Array.from({ length: Math.floor(resources.gpuCount) }, () => 1),
  };
}

/** How many containers with these needs fit on a node besides what it holds. */
export function fitCount(room: NodeRoom, needs: Resources): number {
  const byCpu = needs.cpuMilli > 0 ? Math.floor(room.cpuMilli / needs.cpuMilli) : Infinity;
  const byMemory = needs.memoryMiB > 0 ? Math.floor(room.memoryMiB / needs.memoryMiB) : Infinity;
  return Math.min(byCpu, byMemory, fitByGpu(room, needs.gpuCount));
}

/**
 * The room left after `count` containers.
 *
 * @param count at most `fitCount(room, needs)`.
 */
export function roomAfter(room: NodeRoom, needs: Resources, count: number): NodeRoom {
  return {
    cpuMilli: room.cpuMilli - count * needs.cpuMilli,
    memoryMiB: room.memoryMiB - count * needs.memoryMiB,
    gpuShares: sharesAfter(room.gpuShares, needs.gpuCount, count),
  };
}

/** What to place, and where it may go. */
export interface Placement {
  readonly classIndex: number;
  readonly needs: Resources;
  readonly quantity: number;
  /** Whether the class may use this offer; absent means any stack given. */
  readonly mayUse?: (offerIndex: number) => boolean;
}

/** Stacks after a placement, and the containers that found no room. */
export interface PlacementResult {
  readonly stacks: readonly NodeStack[];
  readonly leftover: number;
}

/** Places containers of one class first-fit; the stacks keep their order. */
export function placeFirstFit(stacks: readonly NodeStack[], what: Placement): PlacementResult {
  const after: NodeStack[] = [];
  let leftover = what.quantity;
  for (const stack of stacks) {
    const open = leftover > 0 && (what.mayUse?.(stack.offerIndex) ?? true);
    const perNode = open ? fitCount(stack.room, what.needs) : 0;
    if (perNode === 0) {
      after.push(stack);
      continue;
    }
    const filled = fillStack(stack, what, Math.min(leftover, perNode * stack.nodeCount), perNode);
    after.push(...filled);
    leftover -= Math.min(leftover, perNode * stack.nodeCount);
  }
  return { stacks: after, leftover };
}

/** Splits a stack into its full nodes, at most one partly filled one, and untouched ones. */
function fillStack(
  stack: NodeStack,
  what: Placement,
  quantity: number,
  perNode: number,
): readonly NodeStack[] {
  const full = Math.floor(quantity / perNode);
  const rest = quantity - full * perNode;
  const parts = [
    { nodeCount: full, added: perNode },
    { nodeCount: rest > 0 ? 1 : 0, added: rest },
    { nodeCount: stack.nodeCount - full - (rest > 0 ? 1 : 0), added: 0 },
  ];
  return parts
    .filter((part) => part.nodeCount > 0)
    .map(({ nodeCount, added }) => ({ ...withContainers(stack, what, added), nodeCount }));
}

function withContainers(stack: NodeStack, what: Placement, added: number): NodeStack {
  if (added === 0) return stack;
  const containers = new Map(stack.containers);
  containers.set(what.classIndex, (containers.get(what.classIndex) ?? 0) + added);
  return { ...stack, containers, room: roomAfter(stack.room, what.needs, added) };
}

function fitByGpu(room: NodeRoom, gpuCount: number): number {
  if (gpuCount === 0) return Infinity;
  if (gpuCount >= 1) return Math.floor(room.gpuShares.filter(isWhole).length / gpuCount);
  return room.gpuShares.reduce((sum, share) => sum + sharesIn(share, gpuCount), 0);
}

function sharesIn(free: number, fraction: number): number {
  return Math.floor(free / fraction + SHARE_TOLERANCE);
}

function isWhole(share: number): boolean {
  return share > 1 - SHARE_TOLERANCE;
}

function sharesAfter(
  shares: readonly number[],
  gpuCount: number,
  count: number,
): readonly number[] {
  if (gpuCount === 0) return shares;
  if (gpuCount >= 1) {
    const used = shares.length - gpuCount * count;
    return [...shares.slice(used).map(() => 0), ...shares.slice(0, used)];
  }
  let left = count;
  const after = shares.map((share) => {
    const taken = Math.min(left, sharesIn(share, gpuCount));
    left -= taken;
    return Math.max(0, share - taken * gpuCount);
  });
  return after.sort((a, b) => a - b);
}
