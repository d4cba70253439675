/** Runs one strategy over all orders of a trace, and says how it does against FGD. */
import { STRATEGY_NAMES, type StrategyName } from "../../core/index.ts";
import type { DemandMix } from "../../scheduler/demand.ts";
import type { Figure, Report } from "../harness.ts";
import { Cluster, mixOf } from "./cluster.ts";
import { drawStream, serve, type Served, type Stream } from "./departures.ts";
import { RepackingCluster } from "./repacking.ts";
import { rankedNodes, replay, type PodPlacer, type Unallocated } from "./replay.ts";
import type { ArrivalOrder, Pod, Trace } from "./trace.ts";

const FGD = "fgd";
/** FGD first: the others are compared with it. */
export const VARIANTS = [
  FGD,
  ...STRATEGY_NAMES.filter((name) => name !== FGD),
  "default-learned",
  "default+repack",
] as const;
export type Variant = (typeof VARIANTS)[number];

/** One trace or stand-in, ready to be replayed. */
export interface World {
  readonly trace: Trace;
  /** How often a pod of the trace counts in the mix that strategies know. */
  readonly weightOf: (pod: Pod) => number;
}

interface Spread {
  readonly mean: number;
  /** Standard deviation over the orders. */
  readonly deviation: number;
}

export interface Summary {
  readonly at100: Spread;
  readonly at130: Spread;
  /** Moves per 1,000 pods placed. */
  readonly movesPerThousand: number;
}

export function summaryOf({ trace, weightOf }: World, variant: Variant): Summary {
  const mix = mixOf(trace.pods, weightOf);
  const runs = trace.orders.map((order) => runOf(trace, order, { variant, mix }));
  return {
    at100: spreadOf(runs.map(({ at100 }) => at100)),
    at130: spreadOf(runs.map(({ at130 }) => at130)),
    movesPerThousand: spreadOf(runs.map((run) => run.movesPerThousand)).mean,
  };
}

interface Setting {
  readonly variant: Variant;
  readonly mix: DemandMix;
}

function runOf(
  trace: Trace,
  order: ArrivalOrder,
  { variant, mix }: Setting,
): Unallocated & Pick<Summary, "movesPerThousand"> {
  const nodes = rankedNodes(trace, order);
  if (variant === "default+repack") {
    const cluster = new RepackingCluster({ nodes, strategy: "default", mix });
    const unallocated = replay(trace, order, (pod) => cluster.place(pod));
    const movesPerThousand = (1_000 * cluster.moveCount) / cluster.placedCount;
    return { ...unallocated, movesPerThousand };
  }
  const cluster = clusterOf({ variant, mix }, nodes);
  const place: PodPlacer = (pod) => cluster.place(pod) !== undefined;
  return { ...replay(trace, order, place), movesPerThousand: 0 };
}

function clusterOf({ variant, mix }: Setting, nodes: Trace["nodes"]): Cluster {
  if (variant === "default-learned") return new Cluster({ nodes, strategy: "default" });
  return new Cluster({ nodes, strategy: variant as StrategyName, mix });
}

export function reportSummary(
  report: Report,
  shown: {
    readonly prefix: string;
    readonly summary: Summary;
    readonly baseline?: Summary | undefined;
  },
): void {
  const { prefix, summary, baseline } = shown;
  for (const at of ["at100", "at130"] as const) {
    const metric = `${prefix}unallocated_${at.slice(2)}`;
    const theirs = baseline === undefined ? {} : { baseline: baseline[at].mean };
    report.figure({ metric, value: summary[at].mean, unit: "% of GPUs", ...theirs });
    report.figure({ metric: `${metric}_spread`, value: summary[at].deviation, unit: "% of GPUs" });
  }
  if (summary.movesPerThousand === 0) return;
  const metric = `${prefix}moves_per_1000_placed`;
  report.figure({ metric, value: summary.movesPerThousand, unit: "moves" });
}

/** Ratios to FGD, trace by trace. */
export class Comparison {
  readonly #baselines = new Map<string, Summary>();
  readonly #ratios = new Map<Variant, Map<string, number>>();

  /** Notes a result; gives FGD's on the same trace for comparison, when it has run. */
  add(trace: string, variant: Variant, summary: Summary): Summary | undefined {
    if (variant === FGD) {
      this.#baselines.set(trace, summary);
      return undefined;
    }
    const baseline = this.#baselines.get(trace);
    if (baseline === undefined) return undefined;
    const own = this.#ratios.get(variant) ?? new Map<string, number>();
    this.#ratios.set(variant, own.set(trace, summary.at100.mean / baseline.at100.mean));
    return baseline;
  }

  /** The mean ratio over the given traces, and the worst over all there were. */
  report(report: Report, traces: readonly string[]): void {
    for (const [variant, own] of this.#ratios) {
      const given = [...own].filter(([trace]) => traces.includes(trace)).map(([, ratio]) => ratio);
      const worst = Math.max(...own.values());
      if (given.length === traces.length) {
        const value = spreadOf(given).mean;
        report.figure({ metric: `${variant}_over_fgd_mean`, value, unit: "x" });
      }
      report.figure({ metric: `${variant}_over_fgd_worst`, value: worst, unit: "x" });
    }
  }
}

const ARRIVAL_COUNT = 30_000;
const STREAM_SEEDS = [1, 2, 3, 4, 5] as const;

/** One stream of pods that come and go, and what FGD serves of it. */
interface JudgedStream {
  readonly stream: Stream;
  readonly theirs: Served;
}

/** Streams of the trace's pods, one a seed. */
export function judgedStreams(trace: Trace): readonly JudgedStream[] {
  const mix = mixOf(trace.pods, () => 1);
  return STREAM_SEEDS.map((seed) => {
    const stream = drawStream(trace, ARRIVAL_COUNT, seed);
    return { stream, theirs: serve(clusterOf({ variant: FGD, mix }, trace.nodes), stream) };
  });
}

/** GPU-hours served with departures, against FGD. */
export function servedBy(
  trace: Trace,
  variant: Variant,
  streams: readonly JudgedStream[],
): readonly Figure[] {
  const mix = mixOf(trace.pods, () => 1);
  const runs = streams.map(({ stream, theirs }) => {
    const ours = serve(clusterOf({ variant, mix }, trace.nodes), stream);
    return { ours, theirs, ratio: ours.gpuHours / theirs.gpuHours };
  });
  const mean = (pick: (run: (typeof runs)[number]) => number): number =>
    spreadOf(runs.map(pick)).mean;
  const { deviation } = spreadOf(runs.map(({ ratio }) => ratio));
  return [
    {
      metric: "gpu_hours",
      value: mean(({ ours }) => ours.gpuHours),
      unit: "GPU-hours",
      baseline: mean(({ theirs }) => theirs.gpuHours),
    },
    { metric: "gpu_hours_over_fgd_spread", value: deviation, unit: "x" },
    {
      metric: "cache_entries_max",
      value: Math.max(...runs.map(({ ours }) => ours.entriesMax)),
      unit: "entries",
    },
    {
      metric: "states_max",
      value: Math.max(...runs.map(({ ours }) => ours.statesMax)),
      unit: "states",
    },
  ];
}

function spreadOf(values: readonly number[]): Spread {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  const deviation = values.length > 1 ? Math.sqrt(squares / (values.length - 1)) : 0;
  return { mean, deviation };
}
