/**
 * The most that containers on one node can weigh: depth-first over counts, with bounds.
 *
 * The bound of a branch is what its free room can hold at most if containers could be cut: for
 * the resource that limits most, weight per unit times what is free. Exact, or undefined when
 * the search would take too long.
 */
import type { Resources } from "../../core/index.ts";
import { fitCount, roomAfter, type NodeRoom } from "../packing.ts";

export interface WeightedNeeds {
  readonly needs: Resources;
  readonly weight: number;
}

const STEPS_MAX = 4_000;
const TOLERANCE = 1e-9;

/** The largest total weight of containers that fit into `room`; undefined: not found in time. */
export function heaviestPacking(
  room: NodeRoom,
  items: readonly WeightedNeeds[],
): number | undefined {
  const fitting = items.filter(({ needs }) => fitCount(room, needs) > 0);
  fitting.sort((a, b) => b.weight - a.weight);
  let best = 0;
  let steps = 0;
  const search = (free: NodeRoom, index: number, weight: number): boolean => {
    steps += 1;
    if (steps > STEPS_MAX) return false;
    best = Math.max(best, weight);
    const item = fitting[index];
    if (!item || weight + boundOf(free, fitting, index) <= best + TOLERANCE) return true;
    for (let count = fitCount(free, item.needs); count >= 0; count -= 1) {
      const after = count > 0 ? roomAfter(free, item.needs, count) : free;
      if (!search(after, index + 1, weight + count * item.weight)) return false;
    }
    return true;
  };
  return search(room, 0, 0) ? best : undefined;
}

function boundOf(room: NodeRoom, items: readonly WeightedNeeds[], from: number): number {
  const gpus = room.gpuShares.reduce((sum, share) => sum + share, 0);
  const densest = { gpu: 0, cpu: 0, memory: 0 };
  for (let index = from; index < items.length; index += 1) {
    const item = items[index];
    if (!item) continue;
    const { gpuCount, cpuMilli, memoryMiB } = item.needs;
    densest.gpu = Math.max(densest.gpu, item.weight / gpuCount);
    densest.cpu = Math.max(densest.cpu, item.weight / cpuMilli);
    densest.memory = Math.max(densest.memory, item.weight / memoryMiB);
  }
  return Math.min(
    boundBy(densest.gpu, gpus),
    boundBy(densest.cpu, room.cpuMilli),
    boundBy(densest.memory, room.memoryMiB),
  );
}

function boundBy(perUnit: number, free: number): number {
  return Number.isFinite(perUnit) ? perUnit * free : Infinity;
}
