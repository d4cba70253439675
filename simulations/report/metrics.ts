/** The figures by which policies are compared, as data: one list that every report reads. */
import { MS_PER_HOUR } from "../../core/index.ts";
import type { SimulationResult } from "../result.ts";

/** What a figure is counted in; decides how it is written. */
export type MetricUnit =
  "microUsd" | "ratio" | "fraction" | "ms" | "count" | "perHour" | "gpuSeconds" | "hours";

export const METRIC_GROUPS = ["cost", "GPUs", "waiting", "fleet", "plans"] as const;

export interface Metric {
  /** Key in the JSON document, with its unit last. */
  readonly name: string;
  /** For people, without the unit. */
  readonly label: string;
  readonly unit: MetricUnit;
  readonly group: (typeof METRIC_GROUPS)[number];
  /** Undefined where the run says nothing: no inputs came, or nothing was paid. */
  readonly read: (result: SimulationResult) => number | undefined;
}

/** All figures, in the order in which they are shown. */
export const METRICS = [
  {
    name: "costMicroUsd",
    label: "cost",
    unit: "microUsd",
    group: "cost",
    read: ({ cost }) => cost.paidMicroUsd,
  },
  {
    name: "costOverB60",
    label: "cost / B60",
    unit: "ratio",
    group: "cost",
    read: ({ cost, bounds }) => ratioOf(cost.paidMicroUsd, bounds.b60MicroUsd),
  },
  {
    name: "costOverB0",
    label: "cost / B0",
    unit: "ratio",
    group: "cost",
    read: ({ cost, bounds }) => ratioOf(cost.paidMicroUsd, bounds.b0MicroUsd),
  },
  {
    name: "usefulFraction",
    label: "useful / paid",
    unit: "fraction",
    group: "GPUs",
    read: ({ gpu }) => ratioOf(gpu.usefulGpuSeconds, gpu.paidGpuSeconds),
  },
  {
    name: "heldFraction",
    label: "held / paid",
    unit: "fraction",
    group: "GPUs",
    read: ({ gpu }) => ratioOf(gpu.heldGpuSeconds, gpu.paidGpuSeconds),
  },
  {
    name: "lostGpuSeconds",
    label: "lost work",
    unit: "gpuSeconds",
    group: "GPUs",
    read: ({ gpu }) => gpu.lostGpuSeconds,
  },
  {
    name: "slotP50Ms",
    label: "wait p50",
    unit: "ms",
    group: "waiting",
    read: (result) => ofInputs(result, result.waits.slot.p50Ms),
  },
  {
    name: "slotP90Ms",
    label: "wait p90",
    unit: "ms",
    group: "waiting",
    read: (result) => ofInputs(result, result.waits.slot.p90Ms),
  },
  {
    name: "slotP99Ms",
    label: "wait p99",
    unit: "ms",
    group: "waiting",
    read: (result) => ofInputs(result, result.waits.slot.p99Ms),
  },
  {
    name: "slotP999Ms",
    label: "wait p99.9",
    unit: "ms",
    group: "waiting",
    read: (result) => ofInputs(result, result.waits.slot.p999Ms),
  },
  {
    name: "slotMaxMs",
    label: "wait max",
    unit: "ms",
    group: "waiting",
    read: (result) => ofInputs(result, result.waits.slot.maxMs),
  },
  {
    name: "firstInstructionP99Ms",
    label: "first instruction p99",
    unit: "ms",
    group: "waiting",
    read: (result) => ofInputs(result, result.waits.firstInstruction.p99Ms),
  },
  {
    name: "missFraction",
    label: "misses",
    unit: "fraction",
    group: "waiting",
    read: (result) => ofInputs(result, result.waits.missFraction),
  },
  {
    name: "coldStartFraction",
    label: "cold starts",
    unit: "fraction",
    group: "waiting",
    read: (result) => ofInputs(result, result.waits.coldStartFraction),
  },
  {
    name: "badWindowFraction",
    label: "bad windows",
    unit: "fraction",
    group: "waiting",
    read: ({ badWindowFraction }) => badWindowFraction,
  },
  {
    name: "unserved",
    label: "unserved inputs",
    unit: "count",
    group: "waiting",
    read: ({ fleet }) => fleet.unserved,
  },
  {
    name: "launchesPerHour",
    label: "launches",
    unit: "perHour",
    group: "fleet",
    read: ({ fleet, fromMs, untilMs }) => ratioOf(fleet.launches, (untilMs - fromMs) / MS_PER_HOUR),
  },
  {
    name: "launchFailures",
    label: "failed launches",
    unit: "count",
    group: "fleet",
    read: ({ fleet }) => fleet.launchFailures,
  },
  {
    name: "refusals",
    label: "refusals",
    unit: "count",
    group: "fleet",
    read: ({ fleet }) => fleet.refusals,
  },
  {
    name: "reclaims",
    label: "reclaims",
    unit: "count",
    group: "fleet",
    read: ({ fleet }) => fleet.reclaims,
  },
  {
    name: "retries",
    label: "retries",
    unit: "count",
    group: "fleet",
    read: ({ fleet }) => fleet.retries,
  },
  {
    name: "nodesMax",
    label: "most nodes at once",
    unit: "count",
    group: "fleet",
    read: ({ fleet }) => fleet.nodesMax,
  },
  {
    name: "plans",
    label: "plans",
    unit: "count",
    group: "plans",
    read: ({ plans }) => plans.plans,
  },
  {
    name: "planGapFraction",
    label: "plan gap",
    unit: "fraction",
    group: "plans",
    read: ({ plans }) => (plans.plans === 0 ? undefined : plans.meanGapFraction),
  },
  {
    name: "fallbackPlans",
    label: "fallback plans",
    unit: "count",
    group: "plans",
    read: ({ plans }) => plans.fallbacks,
  },
  {
    name: "unmetContainerHours",
    label: "unmet containers",
    unit: "hours",
    group: "plans",
    read: ({ plans }) => plans.unmetContainerHours,
  },
] as const satisfies readonly Metric[];

export type MetricName = (typeof METRICS)[number]["name"];

/** Undefined instead of a division by nothing. */
export function ratioOf(part: number, whole: number): number | undefined {
  return whole > 0 ? part / whole : undefined;
}

function ofInputs({ inputs }: SimulationResult, value: number): number | undefined {
  return inputs > 0 ? value : undefined;
}
