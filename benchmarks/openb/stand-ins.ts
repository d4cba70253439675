/**
 * Stand-ins: mixes that differ from the given trace in what a policy could be tuned to. Pods of
 * some kinds are repeated or left out, then arrive in orders of our own: all of them shuffled,
 * and further ones drawn at random until 1.3 times the fleet's GPUs are asked for.
 */
import { createRng, type Rng } from "../../core/index.ts";
import type { ArrivalOrder, Pod, Trace } from "./trace.ts";

/** How often a pod of the base trace counts; fractions are chances. */
export interface StandIn {
  readonly name: string;
  readonly base: string;
  readonly weightOf: (pod: Pod) => number;
}

const isShare = ({ gpuMilli }: Pod): boolean => gpuMilli > 0 && gpuMilli < 1_000;
const isWhole = ({ gpuMilli }: Pod): boolean => gpuMilli >= 1_000;

export const STAND_INS: readonly StandIn[] = [
  {
    name: "cpu-heavy",
    base: "default",
    weightOf: (pod) => (pod.gpuMilli === 0 ? 2.2 : 1),
  },
  {
    name: "all-shares",
    base: "default",
    weightOf: (pod) => (isWhole(pod) ? 0 : isShare(pod) ? 1.6 : 1),
  },
  {
    name: "spec-heavy",
    base: "gpuspec10",
    weightOf: (pod) => (pod.isSpecific ? 4 : 0.75),
  },
];

/** Arrival orders of a mix, one a seed. */
export function drawOrders(
  trace: Trace,
  standIn: StandIn,
  seeds: readonly number[],
): readonly ArrivalOrder[] {
  return seeds.map((seed) => ({
    seed,
    order: drawOrder(trace, standIn, createRng(`${standIn.name}/${seed}`)),
  }));
}

const TUNED_RATIO = 1.3;

function drawOrder(trace: Trace, standIn: StandIn, rng: Rng): readonly number[] {
  const copies = rng.fork("copies");
  const original = trace.pods.flatMap((pod, index) => {
    const weight = standIn.weightOf(pod);
    const count = Math.floor(weight) + (copies.next() < weight % 1 ? 1 : 0);
    return new Array<number>(count).fill(index);
  });
  const order = shuffled(original, rng.fork("shuffle"));
  const goal = TUNED_RATIO * gpuMilliOf(trace);
  let asked = order.reduce((sum, index) => sum + (trace.pods[index]?.gpuMilli ?? 0), 0);
  const more = rng.fork("more");
  while (asked < goal) {
    const index = original[more.below(original.length)] ?? 0;
    order.push(index);
    asked += trace.pods[index]?.gpuMilli ?? 0;
  }
  return order;
}

/** GPUs of the trace's nodes in thousandths. */
export function gpuMilliOf(trace: Trace): number {
  return trace.nodes.reduce((sum, node) => sum + node.resources.gpuCount * 1_000, 0);
}

function shuffled(items: readonly number[], rng: Rng): number[] {
  const result = [...items];
  for (let last = result.length - 1; last > 0; last -= 1) {
    const other = rng.below(last + 1);
    [result[last], result[other]] = [result[other] ?? 0, result[last] ?? 0];
  }
  return result;
}
