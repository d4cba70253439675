/**
 * How honest and how sharp forecasts of demand are, and what buffers sized by them cost, on the
 * traffic of three public inference services.
 *
 * - Coverage: share of outcomes that the 50, 90 and 99 % quantile was not exceeded by.
 * - Pinball loss, in thousandths of mean demand, against that of two yardsticks: persistence
 *   with Gaussian and with empirical errors of the last three days. A ratio below 1 is sharper.
 * - `q99_over_mean`: how much one would hold at 99 %, over mean demand.
 * - Buffers: capacity decided 3 minutes ahead, the newsvendor's quantile against a fixed 20 %
 *   and against the fixed share that hindsight finds cheapest; cost of idling and waiting per
 *   hour, and the share of time with too little.
 *
 * Figures at 3 minutes rest on an assumed path within windows of ten minutes
 * (`simulations/traces/path.ts`).
 * The first quarter of a series, three days at most, is for learning and does not count.
 */
import { existsSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import {
  createRng,
  DEFAULT_BUFFER_POLICY,
  MS_PER_HOUR,
  MS_PER_MINUTE,
  usdFromMicroUsd,
} from "../core/index.ts";
import { heldQuantile } from "../optimizer/buffer/plan-buffers.ts";
import {
  demandQuantile,
  newForecast,
  observe,
  seasonWeights,
} from "../optimizer/forecast/forecast.ts";
import { ROOT } from "../scripts/steps.ts";
import { persistenceErrors, QUANTILES, YARDSTICKS } from "./forecast/persistence.ts";
import {
  pathThrough,
  readTraffic,
  trafficFile,
  trafficOf,
  type Traffic,
} from "./forecast/traffic.ts";
import type { BenchmarkOptions, OptionValues, Report } from "./harness.ts";

export const options: BenchmarkOptions = {
  data: {
    placeholder: "DIR",
    default: "../shared/data",
    description: "folder with servegen/*_aggregate.csv.gz, relative to the repository",
  },
};

const SERIES = ["m-mid", "m-large", "mm-image"] as const;
const SEED = "forecast";
const LEARNING_MS_MAX = 72 * MS_PER_HOUR;
const SHORT_LEAD_MS = 3 * MS_PER_MINUTE;
const LONG_LEAD_MS = 30 * MS_PER_MINUTE;
/** On a path, one forecast a minute is judged. */
const JUDGED_EVERY_MS = MS_PER_MINUTE;
const FIXED_FRACTION = 0.2;
/** Fixed buffers among which hindsight picks the cheapest. */
const TUNED_FRACTIONS = Array.from({ length: 30 }, (_, index) => (index + 1) / 50);
/** An H100 on demand, at the cheaper end of public price lists in 2025. */
const IDLE_MICRO_USD_PER_GPU_HOUR = 2_500_000;
/** Waiting has a price here; by default it has none, and no buffer is held. */
const BUFFERS = { ...DEFAULT_BUFFER_POLICY, waitMicroUsdPerGpuHour: 60_000_000 };

export function run(report: Report, { data = "" }: OptionValues): Promise<void> {
  const dataDir = isAbsolute(data) ? data : join(ROOT, data);
  const missing = SERIES.map((name) => trafficFile(dataDir, name)).find(
    (file) => !existsSync(file),
  );
  if (missing === undefined) for (const name of SERIES) measure(report, dataDir, name);
  else report.skip(`there is no ${missing}; --data DIR names the folder with the series`);
  return Promise.resolve();
}

function measure(report: Report, dataDir: string, name: string): void {
  const trace = readTraffic(dataDir, name);
  const windows = trafficOf(trace);
  report.note(`${name}: ${windows.demand.length} windows of ten minutes`);
  const path = pathThrough(trace, createRng(SEED));
  reportQuality(report, { label: "30min", traffic: windows, leadMs: LONG_LEAD_MS });
  reportQuality(report, { label: "30min_path", traffic: path, leadMs: LONG_LEAD_MS });
  reportQuality(report, { label: "3min_path", traffic: path, leadMs: SHORT_LEAD_MS });
  reportBuffers(report, path);
}

interface Setting {
  readonly label: string;
  readonly traffic: Traffic;
  readonly leadMs: number;
}

/** Sums over the judged forecasts, one entry a quantile. */
class Score {
  readonly covered = [0, 0, 0];
  readonly loss = [0, 0, 0];
  readonly held = [0, 0, 0];
  count = 0;

  add(outcome: number, quantities: readonly number[]): void {
    this.count += 1;
    for (const [index, q] of QUANTILES.entries()) {
      const quantity = quantities[index] ?? 0;
      const missed = outcome - quantity;
      this.covered[index] = (this.covered[index] ?? 0) + (missed <= 0 ? 1 : 0);
      this.loss[index] = (this.loss[index] ?? 0) + Math.max(q * missed, (q - 1) * missed);
      this.held[index] = (this.held[index] ?? 0) + quantity;
    }
  }
}

function reportQuality(report: Report, setting: Setting): void {
  const { label, traffic, leadMs } = setting;
  const ours = new Score();
  const theirs = { gaussian: new Score(), empirical: new Score() };
  const leadSteps = leadMs / traffic.stepMs;
  const errorsAt = persistenceErrors(traffic, leadSteps);
  let forecast = newForecast({ target: "end", leadsMs: [leadMs] });
  for (const [step, quantity] of traffic.collected.entries()) {
    forecast = observe(forecast, { atMs: step * traffic.stepMs, quantity });
    const outcome = traffic.demand[step + leadSteps];
    if (outcome === undefined || !isJudged(traffic, step, leadSteps)) continue;
    const known = forecast;
    ours.add(
      outcome,
      QUANTILES.map((q) => demandQuantile(known, { leadMs, quantile: q })),
    );
    const errors = errorsAt(step);
    const present = traffic.demand[step] ?? 0;
    for (const name of YARDSTICKS)
      theirs[name].add(
        outcome,
        errors[name].map((e) => present + e),
      );
  }
  const prefix = `${traffic.name.replace("-", "_")}_${label}`;
  report.note(`${prefix}: the season counts ${seasonWeights(forecast).join()} at the end`);
  for (const [index, q] of QUANTILES.entries()) {
    const percent = Math.round(q * 100);
    const meanOf = (sums: readonly number[]): number => (sums[index] ?? 0) / ours.count;
    report.figure({
      metric: `${prefix}_coverage_${percent}`,
      value: meanOf(ours.covered),
      unit: "of outcomes",
    });
    for (const name of YARDSTICKS) {
      report.figure({
        metric: `${prefix}_pinball_${percent}_vs_${name}`,
        value: (1_000 * meanOf(ours.loss)) / traffic.mean,
        baseline: (1_000 * meanOf(theirs[name].loss)) / traffic.mean,
        unit: "1/1000 of mean",
      });
    }
  }
  report.figure({
    metric: `${prefix}_q99_over_mean`,
    value: (ours.held[2] ?? 0) / ours.count / traffic.mean,
    unit: "x",
  });
}

/** Neither the learning time nor a hole; on a path, whole minutes only. */
function isJudged(traffic: Traffic, step: number, leadSteps: number): boolean {
  const { stepMs, hole, demand } = traffic;
  const learningMs = Math.min(LEARNING_MS_MAX, (demand.length * stepMs) / 4);
  if (step * stepMs < learningMs) return false;
  if (stepMs < JUDGED_EVERY_MS && (step * stepMs) % JUDGED_EVERY_MS !== 0) return false;
  return hole[step] !== true && hole[step + leadSteps] !== true;
}

/** Idle and missing GPU-hours per hour of one way to size. */
class Ledger {
  idle = 0;
  missing = 0;
  misses = 0;
  count = 0;

  add(wanted: number, held: number): void {
    this.count += 1;
    this.idle += Math.max(0, held - wanted);
    this.missing += Math.max(0, wanted - held);
    this.misses += wanted > held ? 1 : 0;
  }

  usdPerHour(): number {
    const microUsd =
      this.idle * IDLE_MICRO_USD_PER_GPU_HOUR + this.missing * BUFFERS.waitMicroUsdPerGpuHour;
    return usdFromMicroUsd(microUsd / this.count);
  }
}

function reportBuffers(report: Report, traffic: Traffic): void {
  const leadMs = SHORT_LEAD_MS;
  const leadSteps = leadMs / traffic.stepMs;
  const quantile = heldQuantile(IDLE_MICRO_USD_PER_GPU_HOUR, BUFFERS);
  const ours = new Ledger();
  const usual = new Ledger();
  const tuned = TUNED_FRACTIONS.map((fraction) => ({ fraction, ledger: new Ledger() }));
  let forecast = newForecast({ leadsMs: [leadMs] });
  for (const [step, quantity] of traffic.collected.entries()) {
    forecast = observe(forecast, { atMs: step * traffic.stepMs, quantity });
    const wanted = traffic.demand[step + leadSteps];
    if (wanted === undefined || !isJudged(traffic, step, leadSteps)) continue;
    const present = traffic.demand[step] ?? 0;
    ours.add(wanted, demandQuantile(forecast, { leadMs, quantile }));
    usual.add(wanted, (1 + FIXED_FRACTION) * present);
    for (const { fraction, ledger } of tuned) ledger.add(wanted, (1 + fraction) * present);
  }
  const best = Math.min(...tuned.map(({ ledger }) => ledger.usdPerHour()));
  const prefix = `${traffic.name.replace("-", "_")}_buffer`;
  const cost = { value: ours.usdPerHour(), unit: "USD/h" };
  report.figure({ metric: `${prefix}_cost_vs_fixed`, ...cost, baseline: usual.usdPerHour() });
  report.figure({ metric: `${prefix}_cost_vs_best_fixed`, ...cost, baseline: best });
  report.figure({
    metric: `${prefix}_miss_vs_fixed`,
    value: ours.misses / ours.count,
    baseline: usual.misses / usual.count,
    unit: "of time",
  });
}
