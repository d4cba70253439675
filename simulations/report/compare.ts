/**
 * Results of several policies and seeds, put side by side: what every report is made of.
 *
 * A figure of a policy is its mean over seeds, with the least and the greatest beside it.
 * A ratio to a baseline is taken seed by seed, because both flew the same arrivals, and
 * only then averaged: `ratio = mean over seeds of (cost / cost of the baseline)`.
 */
import { assert } from "../../core/index.ts";
import type { CostReport, FunctionReport, SimulationResult, Timeline } from "../result.ts";
import { METRICS, ratioOf, type MetricName } from "./metrics.ts";

/** A figure over seeds; `min <= mean <= max`. */
export interface Spread {
  readonly mean: number;
  readonly min: number;
  readonly max: number;
}

/** One function under one policy; means over seeds. */
export interface FunctionSummary {
  readonly functionId: string;
  readonly inputs: number;
  /** Waits and shares are absent when no input came. */
  readonly slotP50Ms?: number;
  readonly slotP99Ms?: number;
  readonly firstInstructionP99Ms?: number;
  readonly missFraction?: number;
  readonly coldStartFraction?: number;
  readonly containerStarts: number;
  readonly evictions: number;
}

/** A policy's cost over that of another. */
export interface BaselineRatio {
  readonly baseline: string;
  /** Absent when no seed was flown by both, or the baseline paid nothing. */
  readonly ratio?: Spread;
}

export interface PolicyComparison {
  readonly policy: string;
  /** Ascending. */
  readonly seeds: readonly number[];
  /** Without an entry where no seed has the figure. */
  readonly metrics: ReadonlyMap<MetricName, Spread>;
  /** In the order of the comparison's baselines, itself left out. */
  readonly overBaselines: readonly BaselineRatio[];
  /** Means over seeds, in micro-dollars. */
  readonly cost: CostReport;
  /** Most inputs first. */
  readonly functions: readonly FunctionSummary[];
  /** The fleet over time in the run of the first seed. */
  readonly timeline: Timeline;
}

export interface Comparison {
  readonly world: string;
  readonly fromMs: number;
  readonly untilMs: number;
  /** All that any policy flew, ascending. */
  readonly seeds: readonly number[];
  readonly commit?: string;
  readonly inputs: Spread;
  readonly baselines: readonly string[];
  /** At least one; the first is the one that the report is about. */
  readonly policies: readonly [PolicyComparison, ...PolicyComparison[]];
}

export interface ComparisonInput {
  /** Of one world and one time; each policy flies each seed at most once. */
  readonly results: readonly SimulationResult[];
  /** Policies that costs are set against; absent means all but the first. May name absent ones. */
  readonly baselines?: readonly string[];
  readonly commit?: string;
}

/**
 * Puts results side by side. Policies keep the order in which they first appear.
 *
 * Results must be of one world and time, without two of one policy and seed: anything else
 * is a mistake of the caller. O(results x (functions + offers)).
 */
export function compareResults({ results, baselines, commit }: ComparisonInput): Comparison {
  const first = checkedFirst(results);
  const byPolicy = Map.groupBy(results, ({ policy }) => policy);
  const names = [...byPolicy.keys()];
  const against = baselines ?? names.slice(1);
  const [subject, ...others] = [...byPolicy].map(([policy, runs]) =>
    compareOne(policy, runs.toSorted(bySeed), { byPolicy, baselines: against }),
  );
  assert(subject !== undefined, "a comparison has a first policy");
  return {
    world: first.world,
    fromMs: first.fromMs,
    untilMs: first.untilMs,
    seeds: [...new Set(results.map(({ seed }) => seed))].toSorted((left, right) => left - right),
    ...(commit === undefined ? {} : { commit }),
    inputs: spreadOf(results.map(({ inputs }) => inputs)) ?? NOTHING,
    baselines: against,
    policies: [subject, ...others],
  };
}

/** A policy's cost over a baseline's: 1 over its own, undefined where it cannot be said. */
export function overBaseline(policy: PolicyComparison, baseline: string): Spread | undefined {
  if (policy.policy === baseline) return { mean: 1, min: 1, max: 1 };
  return policy.overBaselines.find((one) => one.baseline === baseline)?.ratio;
}

/** Mean, least and greatest of the values that are there; undefined when none is. */
export function spreadOf(values: readonly (number | undefined)[]): Spread | undefined {
  const present = values.filter((value) => value !== undefined);
  if (present.length === 0) return undefined;
  const min = Math.min(...present);
  const max = Math.max(...present);
  // Rounding may carry a mean of equal values just past them.
  const mean = present.reduce((sum, value) => sum + value, 0) / present.length;
  return { mean: Math.min(max, Math.max(min, mean)), min, max };
}

const NOTHING: Spread = { mean: 0, min: 0, max: 0 };

function bySeed(left: SimulationResult, right: SimulationResult): number {
  return left.seed - right.seed;
}

function checkedFirst(results: readonly SimulationResult[]): SimulationResult {
  const [first] = results;
  assert(first !== undefined, "a comparison needs at least one simulation result");
  const seen = new Set<string>();
  for (const { world, policy, seed, fromMs, untilMs } of results) {
    assert(
      world === first.world && fromMs === first.fromMs && untilMs === first.untilMs,
      `results of ${first.world} and ${world} over other times cannot be compared; ` +
        "compare runs of one world and one time",
    );
    const run = JSON.stringify([policy, seed]);
    assert(!seen.has(run), `policy ${policy} has two results for seed ${seed}; give each once`);
    seen.add(run);
  }
  return first;
}

interface Surroundings {
  readonly byPolicy: ReadonlyMap<string, readonly SimulationResult[]>;
  readonly baselines: readonly string[];
}

function compareOne(
  policy: string,
  runs: readonly SimulationResult[],
  { byPolicy, baselines }: Surroundings,
): PolicyComparison {
  const [first] = runs;
  assert(first !== undefined, `policy ${policy} has no result`);
  return {
    policy,
    seeds: runs.map(({ seed }) => seed),
    metrics: metricsOf(runs),
    overBaselines: baselines
      .filter((baseline) => baseline !== policy)
      .map((baseline) => ratioToBaseline(runs, baseline, byPolicy.get(baseline) ?? [])),
    cost: meanCost(runs.map(({ cost }) => cost)),
    functions: summarizeFunctions(runs),
    timeline: first.timeline,
  };
}

function metricsOf(runs: readonly SimulationResult[]): ReadonlyMap<MetricName, Spread> {
  const metrics = new Map<MetricName, Spread>();
  for (const metric of METRICS) {
    const spread = spreadOf(runs.map((run) => metric.read(run)));
    if (spread !== undefined) metrics.set(metric.name, spread);
  }
  return metrics;
}

function ratioToBaseline(
  runs: readonly SimulationResult[],
  baseline: string,
  baselineRuns: readonly SimulationResult[],
): BaselineRatio {
  const paidBySeed = new Map(baselineRuns.map(({ seed, cost }) => [seed, cost.paidMicroUsd]));
  const ratio = spreadOf(
    runs.map(({ seed, cost }) => ratioOf(cost.paidMicroUsd, paidBySeed.get(seed) ?? 0)),
  );
  return ratio === undefined ? { baseline } : { baseline, ratio };
}

function meanCost(costs: readonly CostReport[]): CostReport {
  const meanMap = (pick: (cost: CostReport) => Readonly<Record<string, number>>) => {
    const sums = new Map<string, number>();
    for (const [key, microUsd] of costs.flatMap((cost) => Object.entries(pick(cost)))) {
      sums.set(key, (sums.get(key) ?? 0) + microUsd / costs.length);
    }
    return Object.fromEntries([...sums].toSorted(([, left], [, right]) => right - left));
  };
  return {
    paidMicroUsd: spreadOf(costs.map(({ paidMicroUsd }) => paidMicroUsd))?.mean ?? 0,
    byOffer: meanMap(({ byOffer }) => byOffer),
    byCloud: meanMap(({ byCloud }) => byCloud),
    byRegion: meanMap(({ byRegion }) => byRegion),
    byGpuType: meanMap(({ byGpuType }) => byGpuType),
    byPurchase: meanMap(({ byPurchase }) => byPurchase),
  };
}

function summarizeFunctions(runs: readonly SimulationResult[]): readonly FunctionSummary[] {
  const reports = runs.flatMap(({ functions }) => functions);
  return [...Map.groupBy(reports, ({ functionId }) => functionId)]
    .map(([functionId, ofFunction]) => summarizeFunction(functionId, ofFunction))
    .toSorted(
      (left, right) => right.inputs - left.inputs || (left.functionId < right.functionId ? -1 : 1),
    );
}

function summarizeFunction(
  functionId: string,
  reports: readonly FunctionReport[],
): FunctionSummary {
  const mean = (pick: (report: FunctionReport) => number, of = reports): number =>
    spreadOf(of.map(pick))?.mean ?? 0;
  const counts = {
    functionId,
    inputs: mean(({ inputs }) => inputs),
    containerStarts: mean(({ containerStarts }) => containerStarts),
    evictions: mean(({ evictions }) => evictions),
  };
  const asked = reports.filter(({ inputs }) => inputs > 0);
  if (asked.length === 0) return counts;
  return {
    ...counts,
    slotP50Ms: mean(({ slot }) => slot.p50Ms, asked),
    slotP99Ms: mean(({ slot }) => slot.p99Ms, asked),
    firstInstructionP99Ms: mean(({ firstInstruction }) => firstInstruction.p99Ms, asked),
    missFraction: mean(({ missFraction }) => missFraction, asked),
    coldStartFraction: mean(({ coldStartFraction }) => coldStartFraction, asked),
  };
}
