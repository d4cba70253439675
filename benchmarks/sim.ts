/**
 * What our policy costs and how long inputs wait, on two weeks of public traffic, against bounds
 * and baselines; and how fast and how steadily the simulator flies.
 *
 * Costs are sums over the seeds; `baseline` is a bound, or another policy in the same world with
 * the same seeds. Waits, shares and windows are means over the seeds. `--days` and `--seeds` make
 * a shorter run: its figures are of that part of the traces. Everything but the times is the same
 * on every machine.
 */
import { isAbsolute, join } from "node:path";
import { MS_PER_MINUTE, MS_PER_SECOND } from "../core/index.ts";
import type { SimulationResult } from "../simulations/result.ts";
import { ROOT } from "../scripts/steps.ts";
import type { BenchmarkOptions, OptionValues, Report } from "./harness.ts";
import { flyAll } from "./sim/fly-all.ts";
import type { Flown, Job, PolicyChoice } from "./sim/fly.ts";
import { reportMutants } from "./sim/mutants.ts";
import { reportTuneSpeedup } from "./sim/tune-speedup.ts";
import { hasTraces, type WorldChoice } from "./sim/worlds.ts";

export const options: BenchmarkOptions = {
  data: {
    placeholder: "DIR",
    default: "../shared/data",
    description: "folder with servegen/ and spot-traces/, relative to the repository",
  },
  seeds: { placeholder: "N", default: "5", description: "seeds of each run" },
  days: { placeholder: "N", default: "14", description: "days of each trace, from its start" },
  parts: {
    placeholder: "LIST",
    default: "speed,bound,baselines,sizes,spot,warm,tune,mutants",
    description: "figures to take, with commas between",
  },
  jobs: { placeholder: "N", default: "2", description: "runs at once" },
};

const OURS: PolicyChoice = { kind: "ours" };
const REACTIVE: PolicyChoice = {
  kind: "reactive",
  utilizationTarget: 0.7,
  holdMs: 10 * MS_PER_MINUTE,
};
/** Settings among which the best tuned reactive policy is found, on the runs' own traffic. */
const GRID: readonly PolicyChoice[] = [0.88, 0.9, 0.92, 0.94].flatMap((utilizationTarget) =>
  [150, 250].map((seconds) => ({
    kind: "reactive" as const,
    utilizationTarget,
    holdMs: seconds * MS_PER_SECOND,
  })),
);

export async function run(report: Report, values: OptionValues): Promise<void> {
  const { data = "", parts = "" } = values;
  const dataDir = isAbsolute(data) ? data : join(ROOT, data);
  if (!hasTraces(dataDir)) {
    report.skip(`${dataDir} has no servegen/: docs/traces.md says where its traces are`);
    return;
  }
  const wanted = new Set(parts.split(","));
  const bench = new SimBench(report, dataDir, values);
  for (const [name, part] of Object.entries(PARTS)) if (wanted.has(name)) await part(bench);
}

const PARTS: Readonly<Record<string, (bench: SimBench) => Promise<void>>> = {
  speed: reportSpeed,
  bound: reportBound,
  baselines: reportBaselines,
  sizes: reportSizes,
  spot: reportSpot,
  warm: reportWarm,
  tune: ({ report }) => reportTuneSpeedup(report),
  mutants: ({ report }) => reportMutants(report),
};

/** Makes runs of one choice of world and policy, once each. */
class SimBench {
  readonly report: Report;
  readonly days: number;
  readonly #dataDir: string;
  readonly #seeds: number;
  readonly #threads: number;
  readonly #known = new Map<string, Promise<readonly Flown[]>>();

  constructor(report: Report, dataDir: string, { seeds, days, jobs }: OptionValues) {
    this.report = report;
    this.days = Number(days);
    this.#dataDir = dataDir;
    this.#seeds = Number(seeds);
    this.#threads = Number(jobs);
  }

  /** The runs of all seeds. */
  async fly(world: WorldChoice, policy: PolicyChoice): Promise<readonly SimulationResult[]> {
    const flown = await this.flyTimed(world, policy, { seeds: this.#seeds });
    return flown.map(({ result }) => result);
  }

  flyTimed(
    world: WorldChoice,
    policy: PolicyChoice,
    { seeds, threads = this.#threads }: { readonly seeds: number; readonly threads?: number },
  ): Promise<readonly Flown[]> {
    const key = JSON.stringify([world, policy, seeds, threads]);
    const known = this.#known.get(key) ?? this.#flyAll(world, policy, { seeds, threads });
    this.#known.set(key, known);
    return known;
  }

  #flyAll(
    world: WorldChoice,
    policy: PolicyChoice,
    { seeds, threads }: { readonly seeds: number; readonly threads: number },
  ): Promise<readonly Flown[]> {
    const days = world.days ?? this.days;
    const jobs = Array.from({ length: seeds }, (_, index): Job => {
      return { dataDir: this.#dataDir, world: { ...world, days }, policy, seed: index + 1 };
    });
    const onFlown = ({ result, seconds }: Flown, left: number): void => {
      const { world: name, policy: by, seed } = result;
      const ratio = result.cost.paidMicroUsd / result.bounds.b60MicroUsd;
      this.report.note(
        `${name}, ${by}, seed ${seed}: ${ratio.toFixed(3)} x B60, ` +
          `${(100 * result.waits.missFraction).toFixed(2)} % missed, ${seconds.toFixed(0)} s` +
          (left > 0 ? `; ${left} to go` : ""),
      );
    };
    return flyAll(jobs, { threads, onFlown });
  }
}

/** Alone on one thread, so that nothing else is measured with it. */
async function reportSpeed(bench: SimBench): Promise<void> {
  const { report, days } = bench;
  const [whole] = await bench.flyTimed({}, OURS, { seeds: 1, threads: 1 });
  const [day] = await bench.flyTimed({ days: 1 }, OURS, { seeds: 1, threads: 1 });
  if (whole === undefined || day === undefined) return;
  const perSecond = whole.result.events / whole.seconds;
  report.figure({ metric: "events_per_second", value: perSecond, unit: "events/s" });
  const metric = days === 14 ? "two_weeks_seconds" : `days_${days}_seconds`;
  report.figure({ metric, value: whole.seconds, unit: "s" });
  const inputs = whole.result.inputs / 1e6;
  report.figure({ metric: "million_inputs", value: inputs, unit: "million inputs" });
  const memory = { value: whole.heapMiB, baseline: day.heapMiB, unit: "MiB" };
  report.figure({ metric: "heap_over_one_day", ...memory });
}

async function reportBound(bench: SimBench): Promise<void> {
  const { report } = bench;
  const results = await bench.fly({}, OURS);
  reportCost(report, "cost_vs_b60", results, b60Of);
  reportCost(report, "cost_vs_b0", results, ({ bounds }) => bounds.b0MicroUsd);
  reportWaits(report, results);
  const utilization = meanOf(results, usefulOverPaid);
  report.figure({ metric: "gpu_allocation_utilization", value: utilization, unit: "share" });
  const held = meanOf(results, ({ gpu }) => gpu.heldGpuSeconds / gpu.paidGpuSeconds);
  report.figure({ metric: "held_over_paid", value: held, unit: "share" });
  const launches = meanOf(results, ({ fleet, untilMs }) => fleet.launches / (untilMs / 3.6e6));
  report.figure({ metric: "launches_per_hour", value: launches, unit: "1/h" });
}

async function reportBaselines(bench: SimBench): Promise<void> {
  const { report } = bench;
  const results = await bench.fly({}, OURS);
  const usual = await bench.fly({}, REACTIVE);
  reportAgainst(report, "cost_vs_reactive_70_10", results, usual);
  const misses = meanOf(results, missesOf);
  let best: readonly SimulationResult[] | undefined;
  for (const choice of GRID) {
    const tried = await bench.fly({}, choice);
    if (meanOf(tried, missesOf) > misses) continue;
    if (best === undefined || sumOf(tried, paidOf) < sumOf(best, paidOf)) best = tried;
  }
  if (best === undefined) {
    report.note("no reactive setting of the grid misses as little as our policy");
    return;
  }
  reportAgainst(report, "cost_vs_tuned_reactive", results, best);
  const { value, baseline } = { value: misses, baseline: meanOf(best, missesOf) };
  report.figure({ metric: "misses_vs_tuned_reactive", value, baseline, unit: "share" });
}

async function reportSizes(bench: SimBench): Promise<void> {
  const { report } = bench;
  for (const peakGpus of [200, 5_000]) {
    const results = await bench.fly({ peakGpus }, OURS);
    reportCost(report, `cost_vs_b60_${peakGpus}`, results, b60Of);
    reportWaits(report, results, `_${peakGpus}`);
  }
  const steps = await bench.fly({ path: "step" }, OURS);
  reportCost(report, "cost_vs_b60_step", steps, b60Of);
  reportWaits(report, steps, "_step");
  const large = await bench.fly({ series: "m-large" }, OURS);
  reportCost(report, "cost_vs_b60_m_large", large, b60Of);
  reportWaits(report, large, "_m_large");
}

async function reportSpot(bench: SimBench): Promise<void> {
  const { report } = bench;
  const days = Math.min(4, bench.days);
  const plain = await bench.fly({ days }, OURS);
  for (const spot of ["calm", "hard"] as const) {
    const results = await bench.fly({ days, spot }, OURS);
    reportAgainst(report, `cost_spot_${spot}`, results, plain);
    reportWaits(report, results, `_spot_${spot}`);
    const reclaims = meanOf(results, ({ fleet }) => fleet.reclaims);
    report.figure({ metric: `reclaims_spot_${spot}`, value: reclaims, unit: "reclaims" });
  }
}

/** Six hours of 200 functions: with idle containers that may be evicted, and with pinned ones. */
async function reportWarm(bench: SimBench): Promise<void> {
  const { report } = bench;
  const world = { functions: 200, days: 0.25, fromDay: 3 } as const;
  const evictable = await bench.fly({ ...world, evictsIdle: true }, OURS);
  const pinned = await bench.fly({ ...world, evictsIdle: false }, OURS);
  const compare = (
    metric: string,
    unit: string,
    of: (result: SimulationResult) => number,
  ): void => {
    const [value, baseline] = [meanOf(evictable, of), meanOf(pinned, of)];
    report.figure({ metric, value, baseline, unit });
  };
  compare("first_instruction_p99_ms", "ms", ({ waits }) => waits.firstInstruction.p99Ms);
  compare("cold_start_share", "share", ({ waits }) => waits.coldStartFraction);
  compare("utilization_200_functions", "share", usefulOverPaid);
  compare("busy_over_held_200_functions", "share", ({ gpu }) => {
    return gpu.usefulGpuSeconds / gpu.heldGpuSeconds;
  });
}

function reportCost(
  report: Report,
  metric: string,
  results: readonly SimulationResult[],
  boundOf: (result: SimulationResult) => number,
): void {
  const value = sumOf(results, paidOf) / 1e6;
  report.figure({ metric, value, baseline: sumOf(results, boundOf) / 1e6, unit: "USD" });
}

function reportAgainst(
  report: Report,
  metric: string,
  results: readonly SimulationResult[],
  others: readonly SimulationResult[],
): void {
  const [value, baseline] = [sumOf(results, paidOf) / 1e6, sumOf(others, paidOf) / 1e6];
  report.figure({ metric, value, baseline, unit: "USD" });
  const [ours, theirs] = [results, others].map((some) => meanOf(some, missesOf));
  report.note(
    `  misses ${((ours ?? 0) * 100).toFixed(2)} % and ${((theirs ?? 0) * 100).toFixed(2)} %`,
  );
}

function reportWaits(report: Report, results: readonly SimulationResult[], suffix = ""): void {
  const figure = (metric: string, unit: string, of: (result: SimulationResult) => number): void =>
    report.figure({ metric: `${metric}${suffix}`, value: meanOf(results, of), unit });
  figure("wait_p99_ms", "ms", ({ waits }) => waits.slot.p99Ms);
  figure("wait_p999_ms", "ms", ({ waits }) => waits.slot.p999Ms);
  figure("bad_windows", "share", ({ badWindowFraction }) => badWindowFraction);
  figure("misses", "share", missesOf);
}

function paidOf({ cost }: SimulationResult): number {
  return cost.paidMicroUsd;
}

function b60Of({ bounds }: SimulationResult): number {
  return bounds.b60MicroUsd;
}

function missesOf({ waits }: SimulationResult): number {
  return waits.missFraction;
}

function usefulOverPaid({ gpu }: SimulationResult): number {
  return gpu.usefulGpuSeconds / gpu.paidGpuSeconds;
}

function sumOf(
  results: readonly SimulationResult[],
  of: (result: SimulationResult) => number,
): number {
  return results.reduce((sum, result) => sum + of(result), 0);
}

function meanOf(
  results: readonly SimulationResult[],
  of: (result: SimulationResult) => number,
): number {
  return sumOf(results, of) / results.length;
}
