/** Churn: a nearly full fleet where containers end and others come, to time placements. */
import { createRng, type ContainerNeeds, type Node } from "../../core/index.ts";
import { Cluster } from "../openb/cluster.ts";
import type { Pod } from "../openb/trace.ts";

/** Part of the fleet's GPUs that is filled before the clock runs. */
const FILL = 0.9;
const MS_PER_SECOND = 1_000;

export interface ChurnOptions {
  readonly nodes: readonly Node[];
  readonly classes: readonly ContainerNeeds[];
  readonly search: "index" | "full";
  /** Placements timed at most, and for how long at most. */
  readonly placementCountMax: number;
  readonly durationMsMax: number;
}

/** Placements per second of wall time, leaving included; each place is one that was left. */
export function churnRate(options: ChurnOptions): number {
  const { nodes, classes, search } = options;
  const rng = createRng("churn");
  const podOf = (needs: ContainerNeeds): Pod => ({
    needs,
    gpuMilli: 1_000 * (needs.gpu?.count ?? 0),
    isSpecific: false,
    seconds: 0,
  });
  const pods = classes.map(podOf);
  const cluster = new Cluster({ nodes, strategy: "default" });
  const running: string[] = [];
  const draw = (): Pod => pods[rng.below(pods.length)] as Pod;
  const total = nodes.reduce((sum, { resources }) => sum + 1_000 * resources.gpuCount, 0);
  for (let asked = 0; asked < FILL * total;) {
    const pod = draw();
    asked += pod.gpuMilli;
    const podId = cluster.place(pod);
    if (podId !== undefined) running.push(podId);
  }
  if (search === "full") cluster.searchFully();
  const begin = performance.now();
  let count = 0;
  let elapsedMs = 0;
  while (count < options.placementCountMax && elapsedMs < options.durationMsMax) {
    const at = rng.below(running.length);
    const leaving = running[at];
    if (leaving !== undefined) cluster.index.dismiss(leaving);
    const podId = cluster.place(draw());
    const last = podId ?? running.pop();
    if (last !== undefined && at < running.length) running[at] = last;
    count += 1;
    if (count % 64 === 0) elapsedMs = performance.now() - begin;
  }
  return (count * MS_PER_SECOND) / (performance.now() - begin);
}
