/**
 * Departures: pods that end, in a steady state. Pods are drawn from the trace with their own
 * run times and arrive at a rate that asks for 95 % of the fleet's GPU-hours. The run begins
 * in the steady state: pods that run already are drawn in proportion to their run time, each
 * somewhere in the middle of it. What counts is GPU-hours served, under equal arrivals.
 */
import { createRng, type Rng } from "../../core/index.ts";
import type { Cluster } from "./cluster.ts";
import { gpuMilliOf } from "./stand-ins.ts";
import type { Pod, Trace } from "./trace.ts";

const LOAD = 0.95;

/** One pod that arrives and, if it is placed, ends. */
interface Arrival {
  readonly atSeconds: number;
  readonly pod: Pod;
  readonly seconds: number;
}

export interface Stream {
  /** Pods that run when the stream begins, in the order in which they are placed. */
  readonly running: readonly Arrival[];
  readonly arrivals: readonly Arrival[];
}

export interface Served {
  readonly gpuHours: number;
  readonly placedCount: number;
  readonly entriesMax: number;
  readonly statesMax: number;
}

/** A stream of `count` arrivals. */
export function drawStream(trace: Trace, count: number, seed: number): Stream {
  const rng = createRng(`departures/${seed}`);
  const pods = trace.pods.filter(({ seconds }) => seconds > 0);
  const total = gpuMilliOf(trace);
  const gpuSecondsEach =
    pods.reduce((sum, pod) => sum + pod.gpuMilli * pod.seconds, 0) / pods.length;
  const gapSeconds = gpuSecondsEach / (LOAD * total);
  const drawn = rng.fork("arrivals");
  let atSeconds = 0;
  const arrivals = Array.from({ length: count }, () => {
    atSeconds -= gapSeconds * Math.log(1 - drawn.next());
    const pod = pods[drawn.below(pods.length)] as Pod;
    return { atSeconds, pod, seconds: pod.seconds };
  });
  return { running: drawRunning(pods, LOAD * total, rng.fork("running")), arrivals };
}

function drawRunning(pods: readonly Pod[], gpuMilli: number, rng: Rng): readonly Arrival[] {
  const ends: number[] = [];
  let sum = 0;
  for (const { seconds } of pods) ends.push((sum += seconds));
  const running: Arrival[] = [];
  for (let held = 0; held < gpuMilli;) {
    const at = rng.next() * sum;
    const pod = pods[firstAbove(ends, at)] as Pod;
    running.push({ atSeconds: 0, pod, seconds: pod.seconds * rng.next() });
    held += pod.gpuMilli;
  }
  return running;
}

/** Runs the stream; what runs at its end is served up to then. */
export function serve(cluster: Cluster, stream: Stream): Served {
  const ends: { readonly atSeconds: number; readonly podId: string }[] = [];
  const endSeconds = stream.arrivals.at(-1)?.atSeconds ?? 0;
  let gpuSeconds = 0;
  let placedCount = 0;
  let entriesMax = 0;
  let statesMax = 0;
  for (const [count, { atSeconds, pod, seconds }] of [
    ...stream.running,
    ...stream.arrivals,
  ].entries()) {
    for (let next = ends[0]; next !== undefined && next.atSeconds <= atSeconds; next = ends[0]) {
      removeFirst(ends);
      cluster.index.dismiss(next.podId);
    }
    const podId = cluster.place(pod);
    if (count % 1_000 === 0) {
      entriesMax = Math.max(entriesMax, cluster.ranker.entryCount);
      statesMax = Math.max(statesMax, cluster.index.stateCount);
    }
    if (podId === undefined) continue;
    placedCount += 1;
    gpuSeconds += (pod.gpuMilli * Math.max(0, Math.min(seconds, endSeconds - atSeconds))) / 1_000;
    insert(ends, { atSeconds: atSeconds + seconds, podId });
  }
  return { gpuHours: gpuSeconds / 3_600, placedCount, entriesMax, statesMax };
}

function firstAbove(rising: readonly number[], value: number): number {
  let low = 0;
  let high = rising.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((rising[middle] ?? 0) > value) high = middle;
    else low = middle + 1;
  }
  return low;
}

interface Timed {
  readonly atSeconds: number;
}

/** A heap, the earliest first. */
function insert<Item extends Timed>(heap: Item[], item: Item): void {
  let at = heap.length;
  heap.push(item);
  for (let parent = (at - 1) >> 1; at > 0; parent = (at - 1) >> 1) {
    const above = heap[parent];
    if (above === undefined || above.atSeconds <= item.atSeconds) break;
    heap[at] = above;
    at = parent;
  }
  heap[at] = item;
}

function removeFirst(heap: Timed[]): void {
  const last = heap.pop();
  if (last === undefined || heap.length === 0) return;
  const timeAt = (at: number): number => heap[at]?.atSeconds ?? Number.POSITIVE_INFINITY;
  let at = 0;
  for (;;) {
    const child = timeAt(2 * at + 2) < timeAt(2 * at + 1) ? 2 * at + 2 : 2 * at + 1;
    const item = heap[child];
    if (item === undefined || item.atSeconds >= last.atSeconds) break;
    heap[at] = item;
    at = child;
  }
  heap[at] = last;
}
