/**
 * How much GPU each placement strategy leaves unallocated on a production GPU trace, replayed
 * exactly as the published simulation does, and with departures.
 *
 * The trace: openb, Alibaba 2023 (github.com/alibaba/clusterdata), 1,213 nodes with 6,212 GPUs,
 * in the arrival orders of the simulator of Q. Weng et al., "Beware of Fragmentation", USENIX
 * ATC 2023; ten seeds a trace. The data is not part of this repository; `--nodes`, `--pods` and
 * `--orders` name other files in the same layout.
 *
 * Strategies know the mix of the trace's classes, as the published ones do; `default-learned`
 * knows nothing in advance and learns as pods arrive. `default+repack` may move running pods
 * and is another class of policy. Figures of other strategies have FGD's, of the same run, as
 * their baseline. Stand-ins are mixes that differ from the trace (openb/stand-ins.ts).
 */
import { existsSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import { ROOT } from "../scripts/steps.ts";
import type { BenchmarkOptions, OptionValues, Report } from "./harness.ts";
import {
  Comparison,
  judgedStreams,
  reportSummary,
  servedBy,
  summaryOf,
  VARIANTS,
  type Variant,
  type World,
} from "./openb/summary.ts";
import { drawOrders, STAND_INS } from "./openb/stand-ins.ts";
import { readTrace, type Trace, type TraceFiles } from "./openb/trace.ts";

export const options: BenchmarkOptions = {
  data: {
    placeholder: "DIR",
    default: "../shared/data/openb",
    description: "folder with openb_*.csv and orders/, relative to the repository",
  },
  trace: {
    placeholder: "NAME",
    default: "all",
    description: "one of the traces, stand-ins or departures, or all",
  },
  strategy: {
    placeholder: "NAME",
    default: "all",
    description: "one strategy, default-learned, default+repack, or all",
  },
  nodes: { placeholder: "FILE", default: "", description: "nodes of another trace" },
  pods: { placeholder: "FILE", default: "", description: "pods of another trace" },
  orders: { placeholder: "FILE", default: "", description: "arrival orders of another trace" },
  seeds: { placeholder: "COUNT", default: "10", description: "orders replayed at most" },
};

const TRACES = ["default", "cpu100", "gpushare60", "multigpu20", "gpuspec10"] as const;
const DEPARTURES = "departures";
const STAND_IN_SEEDS = 3;

export async function run(report: Report, values: OptionValues): Promise<void> {
  const variants = chosen(values["strategy"] ?? "all", VARIANTS);
  const given = isGiven(values) ? (["given"] as const) : undefined;
  const names = given ?? chosen(values["trace"] ?? "all", NAMES);
  const isSingle = names.length === 1 && variants.length === 1;
  const comparison = new Comparison();
  for (const name of names) {
    const files = filesOf(values, baseOf(name));
    const missing = Object.values<string>({ ...files }).find((file) => !existsSync(file));
    if (missing !== undefined) {
      report.skip(`there is no ${missing}; --data DIR names the folder with the trace`);
      return;
    }
    const trace = readTrace(files);
    report.note(`${name}: ${trace.nodes.length} nodes, ${trace.pods.length} pods`);
    if (name === DEPARTURES) {
      reportDepartures(report, trace, variants);
      continue;
    }
    const world = worldOf(name, trace, Number(values["seeds"] ?? "10"));
    for (const variant of variants) {
      const summary = summaryOf(world, variant);
      const prefix = isSingle ? "" : `${name}_${variant}_`;
      reportSummary(report, { prefix, summary, baseline: comparison.add(name, variant, summary) });
      // Lets the progress out.
      await Promise.resolve();
    }
  }
  comparison.report(report, TRACES);
}

const NAMES = [...TRACES, ...STAND_INS.map(({ name }) => name), DEPARTURES] as const;

function chosen<Name extends string>(given: string, all: readonly Name[]): readonly Name[] {
  if (given === "all") return all;
  const names = all.filter((name) => name === given);
  if (names.length === 0) throw new Error(`${given} is none of all, ${all.join(", ")}`);
  return names;
}

function isGiven({ nodes, pods, orders }: OptionValues): boolean {
  return [nodes, pods, orders].some((file) => file !== undefined && file !== "");
}

/** The trace that a stand-in, or the run with departures, is made from. */
function baseOf(name: string): string {
  if (name === DEPARTURES || name === "given") return "default";
  return STAND_INS.find((one) => one.name === name)?.base ?? name;
}

function filesOf({ data = "", nodes, pods, orders }: OptionValues, base: string): TraceFiles {
  const file = (given: string | undefined, usual: string): string => {
    if (given !== undefined && given !== "") return isAbsolute(given) ? given : join(ROOT, given);
    return join(isAbsolute(data) ? data : join(ROOT, data), usual);
  };
  return {
    nodes: file(nodes, "openb_node_list_gpu_node.csv"),
    pods: file(pods, `openb_pod_list_${base}.csv`),
    orders: file(orders, `orders/openb_pod_list_${base}.jsonl.gz`),
  };
}

function worldOf(name: string, trace: Trace, seedCount: number): World {
  const standIn = STAND_INS.find((one) => one.name === name);
  if (standIn === undefined) {
    return { trace: { ...trace, orders: trace.orders.slice(0, seedCount) }, weightOf: () => 1 };
  }
  const seeds = Array.from({ length: Math.min(seedCount, STAND_IN_SEEDS) }, (_, seed) => seed + 1);
  const orders = drawOrders(trace, standIn, seeds);
  return { trace: { ...trace, orders }, weightOf: standIn.weightOf };
}

function reportDepartures(report: Report, trace: Trace, variants: readonly Variant[]): void {
  const streams = judgedStreams(trace);
  for (const variant of variants) {
    // Moving pods is not measured here, and FGD is what the others are measured by.
    if (variant === "default+repack" || variant === "fgd") continue;
    for (const figure of servedBy(trace, variant, streams)) {
      report.figure({ ...figure, metric: `departures_${variant}_${figure.metric}` });
    }
  }
}
