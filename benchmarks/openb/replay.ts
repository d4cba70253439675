/**
 * Replays arrivals as the published simulation does: one pod after the other, none leaves, one
 * that does not fit is dropped. Unallocated at k % is the mean, over arrivals after which the
 * GPUs asked for so far round to k % of the fleet's, of the GPUs that are not allocated.
 */
import type { Node } from "../../core/index.ts";
import { gpuMilliOf } from "./stand-ins.ts";
import type { ArrivalOrder, Pod, Trace } from "./trace.ts";

/** Percent of the fleet's GPUs, at 100 % and at 130 % asked for. */
export interface Unallocated {
  readonly at100: number;
  readonly at130: number;
}

/** Places a pod; false when it is dropped. */
export type PodPlacer = (pod: Pod) => boolean;

export function replay(trace: Trace, { order }: ArrivalOrder, place: PodPlacer): Unallocated {
  const total = gpuMilliOf(trace);
  const sums = new Map([100, 130].map((percent) => [percent, { free: 0, count: 0 }]));
  let asked = 0;
  let allocated = 0;
  for (const index of order) {
    const pod = trace.pods[index];
    if (pod === undefined) throw new Error(`the order names pod ${index}, which there is not`);
    asked += pod.gpuMilli;
    if (place(pod)) allocated += pod.gpuMilli;
    const sum = sums.get(Math.round((100 * asked) / total));
    if (sum === undefined) continue;
    sum.free += 100 * (1 - allocated / total);
    sum.count += 1;
  }
  const meanAt = (percent: number): number => {
    const { free = 0, count = 0 } = sums.get(percent) ?? {};
    return count === 0 ? Number.NaN : free / count;
  };
  return { at100: meanAt(100), at130: meanAt(130) };
}

/** The nodes under names that sort as the order ranks them: ties go by name. */
export function rankedNodes(trace: Trace, { nodeRanks }: ArrivalOrder): readonly Node[] {
  if (nodeRanks === undefined) return trace.nodes;
  return trace.nodes.map((node, index) => ({
    ...node,
    nodeId: `${String(nodeRanks[index] ?? 0).padStart(6, "0")}-${node.nodeId}`,
  }));
}
