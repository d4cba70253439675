/**
 * How fast placement is.
 *
 * - `placements_per_second`: arrivals of the openb trace on its fleet (skipped without the
 *   data), the mix of classes known or learned on the way; and at 10,000 mixed nodes that are
 *   90 % full while containers come and go.
 * - `placement_growth`: exponent g in "cost of one placement ~ nodes^g", fitted from 1,000 to
 *   100,000 nodes under the same churn.
 * - `full_scoring_per_second`: the same at 10,000 nodes when every node is scored each time.
 * - `round_100k_seconds`: one whole round from a bare snapshot, 100,000 pending requests of 20
 *   workspaces over 10,000 nodes. `incremental_round_ms`: the next round of a living scheduler,
 *   with 100 requests more.
 */
import { existsSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import {
  createRng,
  type ContainerRequest,
  type PlacedContainer,
  resourcesOf,
} from "../core/index.ts";
import { place } from "../scheduler/place.ts";
import { Scheduler } from "../scheduler/scheduler.ts";
import type { PlacementPlan } from "../scheduler/plan.ts";
import { ROOT } from "../scripts/steps.ts";
import type { BenchmarkOptions, OptionValues, Report } from "./harness.ts";
import type { DemandMix } from "../scheduler/demand.ts";
import { Cluster, mixOf } from "./openb/cluster.ts";
import { replay } from "./openb/replay.ts";
import { readTrace, type Trace } from "./openb/trace.ts";
import { churnRate } from "./scheduler/churn.ts";
import { mixedClasses, mixedNodes, mixedRequests } from "./scheduler/workload.ts";

export const options: BenchmarkOptions = {
  data: {
    placeholder: "DIR",
    default: "../shared/data/openb",
    description: "folder with openb_*.csv and orders/, relative to the repository",
  },
};

const GROWTH_NODE_COUNTS = [1_000, 10_000, 100_000] as const;
const LARGE = 10_000;
const PENDING = 100_000;
const FRESH = 100;
const ROUNDS = 5;
const OPENB_ORDERS = 3;

export async function run(report: Report, { data = "" }: OptionValues): Promise<void> {
  const onOpenb = openbRate(isAbsolute(data) ? data : join(ROOT, data));
  if (typeof onOpenb === "string") report.skip(onOpenb);
  else {
    const unit = "placements/s";
    report.figure({ metric: "placements_per_second", value: onOpenb.known, unit });
    report.figure({ metric: "placements_per_second_learning", value: onOpenb.learned, unit });
  }
  const rates = new Map<number, number>();
  for (const nodeCount of GROWTH_NODE_COUNTS) {
    const rate = rateAt(nodeCount, "index");
    rates.set(nodeCount, rate);
    report.note(`${nodeCount} nodes: ${Math.round(rate)} placements/s`);
    await Promise.resolve();
  }
  const full = rateAt(LARGE, "full");
  report.figure({
    metric: "placements_per_second_10k_nodes",
    value: rates.get(LARGE) ?? 0,
    unit: "placements/s",
    baseline: full,
  });
  report.figure({ metric: "full_scoring_per_second", value: full, unit: "placements/s" });
  report.figure({ metric: "placement_growth", value: growthOf(rates), unit: "exponent" });
  await Promise.resolve();
  reportRounds(report);
}

/** Arrivals per second of the replayed default trace, or why there are none. */
function openbRate(dataDir: string): { readonly known: number; readonly learned: number } | string {
  const files = {
    nodes: join(dataDir, "openb_node_list_gpu_node.csv"),
    pods: join(dataDir, "openb_pod_list_default.csv"),
    orders: join(dataDir, "orders/openb_pod_list_default.jsonl.gz"),
  };
  const missing = Object.values(files).find((file) => !existsSync(file));
  if (missing !== undefined) return `there is no ${missing}; --data DIR names the folder`;
  const trace = readTrace(files);
  const known = mixOf(trace.pods, () => 1);
  return { known: replayRate(trace, known), learned: replayRate(trace, undefined) };
}

/** The first order is for warming up. */
function replayRate(trace: Trace, mix: DemandMix | undefined): number {
  let begin = 0;
  let count = 0;
  for (const [turn, order] of trace.orders.slice(0, OPENB_ORDERS + 1).entries()) {
    if (turn === 1) begin = performance.now();
    const knowledge = mix === undefined ? {} : { mix };
    const cluster = new Cluster({ nodes: trace.nodes, strategy: "default", ...knowledge });
    replay(trace, order, (pod) => cluster.place(pod) !== undefined);
    if (turn > 0) count += order.order.length;
  }
  return (1_000 * count) / (performance.now() - begin);
}

function rateAt(nodeCount: number, search: "index" | "full"): number {
  const nodes = mixedNodes(nodeCount);
  const limits = { placementCountMax: 100_000, durationMsMax: 3_000 };
  return churnRate({ nodes, classes: mixedClasses(), search, ...limits });
}

/** Least-squares slope of log cost over log nodes. */
function growthOf(rates: ReadonlyMap<number, number>): number {
  const points = [...rates].map(([nodes, rate]) => [Math.log(nodes), -Math.log(rate)] as const);
  const meanX = points.reduce((sum, [x]) => sum + x, 0) / points.length;
  const meanY = points.reduce((sum, [, y]) => sum + y, 0) / points.length;
  const over = points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0);
  return over / points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
}

function reportRounds(report: Report): void {
  const nodes = mixedNodes(LARGE);
  const classes = mixedClasses();
  const requests = mixedRequests(classes, PENDING, "all");
  const now = { nowMs: PENDING, rng: createRng("round") };
  const begin = performance.now();
  const whole = place(requests, { nodes, containers: [] }, now);
  const seconds = (performance.now() - begin) / 1_000;
  report.note(`${whole.placements.length} placed, ${whole.refusals.length} refused`);
  report.figure({ metric: "round_100k_seconds", value: seconds, unit: "s" });

  const scheduler = new Scheduler();
  const first = mixedRequests(classes, PENDING / 4, "first");
  let containers = moved([], first, scheduler.round(first, { nodes, containers: [] }, now));
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const fresh = mixedRequests(classes, FRESH, `round${round}`);
    const start = performance.now();
    const plan = scheduler.round(fresh, { nodes, containers }, now);
    times.push(performance.now() - start);
    containers = moved(containers, fresh, plan);
  }
  times.sort((a, b) => a - b);
  const median = times[Math.floor(times.length / 2)] ?? 0;
  report.figure({ metric: "incremental_round_ms", value: median, unit: "ms" });
}

/** The containers once what was placed has moved in. */
function moved(
  containers: readonly PlacedContainer[],
  requests: readonly ContainerRequest[],
  { placements }: PlacementPlan,
): readonly PlacedContainer[] {
  const byId = new Map(requests.map((one) => [one.containerId, one]));
  const fresh = placements.flatMap(({ containerId, nodeId, cards }) => {
    const request = byId.get(containerId);
    if (request === undefined) return [];
    const { functionId, needs } = request;
    return [{ containerId, functionId, nodeId, cards, resources: resourcesOf(needs), needs }];
  });
  return [...containers, ...fresh];
}
