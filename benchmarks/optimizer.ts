/**
 * How fast and how well whole fleets are planned, on instances drawn from a public price list.
 *
 * - `plan_*_seconds`: wall time of a plan in a warm process (median), with the target as the time
 *   limit of the policy; `plan_*_cost_vs_best`: its cost over the best known one;
 *   `plan_*_gap`: how far it may be from the optimum, as the plan itself proves.
 * - `plan_*_vs_plain_*`: that time over the time of the plain formulation handed to HiGHS (without
 *   any reduction of ours) and to glpk.js, same gap, 120 s at most. Where one never got there the
 *   ratio is an upper bound, and a note says so.
 * - `replan_ratio`: time to plan again after demand moved by up to 5 %, over a cold plan.
 * - `saving_*`: cost over three baselines on the same demand (baselines.ts).
 */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import { fileURLToPath } from "node:url";
import { MS_PER_SECOND, type Offer } from "../core/index.ts";
import { formulate } from "../optimizer/formulate.ts";
import { createPlanMemory, createSolvers, planFleet, type PlanInput } from "../optimizer/index.ts";
import { presolve } from "../optimizer/presolve.ts";
import { readInput } from "../optimizer/read-input.ts";
import type { MipSolver } from "../optimizer/solvers/solver.ts";
import { ROOT } from "../scripts/steps.ts";
import { readOffers } from "../documents/index.ts";
import { quantile, type BenchmarkOptions, type OptionValues, type Report } from "./harness.ts";
import { greedyUsd, singleTypeUsd, unpooledUsd } from "./optimizer/baselines.ts";
import { BEST_KNOWN_USD } from "./optimizer/best-known.ts";
import { drawInstance, driftDemand, drawWholeMarket, SEED, SIZES } from "./optimizer/instances.ts";

export const options: BenchmarkOptions = {
  data: {
    placeholder: "DIR",
    default: "../shared/data",
    description: "folder with price-catalog/catalog.csv, relative to the repository",
  },
  sizes: { placeholder: "LIST", default: "s,m,l,xl,catalog", description: "instances to plan" },
  quick: {
    placeholder: "0|1",
    default: "0",
    description: "1 leaves out the plain formulations, which take up to 120 s each",
  },
  "find-best": {
    placeholder: "0|1",
    default: "0",
    description: "1 only looks for the least costs, in long runs",
  },
};

/** The targets, which are the time limits too; M, where finishing counts, is given a little less. */
const LIMIT_MS: Readonly<Record<string, number>> = {
  s: 100,
  m: 460,
  l: 2_000,
  xl: 6_000,
  catalog: 6_000,
};
const RUN_COUNT = 3;
const PLAIN_LIMIT_MS = 120 * MS_PER_SECOND;
const LONG_LIMIT_MS = 120 * MS_PER_SECOND;
const LEAK_SOLVES = 300;
const BASELINE_SIZE = "m";
/** A plan this close to the best known cost counts as there. */
const THERE_FRACTION = 0.005;

const solvers = createSolvers();
const clock = {
  nowMs: (): number => performance.now(),
  sleep: (): Promise<void> => new Promise(() => undefined),
};

export async function run(report: Report, values: OptionValues): Promise<void> {
  const { data = "", sizes = "", quick, "find-best": findBest } = values;
  const file = join(isAbsolute(data) ? data : join(ROOT, data), "price-catalog/catalog.csv");
  if (!existsSync(file)) {
    report.skip(`there is no ${file}; --data DIR names the folder with the price list`);
    return;
  }
  const market = readOffers(readFileSync(file, "utf8"), file).offers;
  const names = sizes.split(",");
  for (const name of names) {
    const input = instance(market, name);
    if (findBest === "1") await reportBest(report, name, input);
    else await measure(report, name, input, quick === "1");
  }
  if (findBest === "1") return;
  if (names.includes("xl")) reportMemory(report, file);
  if (names.includes("s")) await reportLeak(report, instance(market, "s"));
  if (names.includes(BASELINE_SIZE)) await reportSavings(report, instance(market, BASELINE_SIZE));
}

function instance(market: readonly Offer[], name: string): PlanInput {
  if (name === "catalog") return drawWholeMarket(market);
  const size = SIZES.find((one) => one.name === name);
  if (!size) throw new TypeError(`no instance ${name}; there are s, m, l, xl and catalog`);
  return drawInstance(market, size);
}

function within(input: PlanInput, solveTimeLimitMs: number, gapFraction?: number): PlanInput {
  const policy = { ...input.policy, solveTimeLimitMs };
  return { ...input, policy: gapFraction === undefined ? policy : { ...policy, gapFraction } };
}

async function measure(
  report: Report,
  name: string,
  input: PlanInput,
  quick: boolean,
): Promise<void> {
  const limitMs = LIMIT_MS[name] ?? MS_PER_SECOND;
  const highs = { highs: solvers.highs };
  await planFleet(within(input, limitMs), highs, clock);
  const times: number[] = [];
  const again: number[] = [];
  let cost = Infinity;
  let gap = 1;
  for (let turn = 0; turn < RUN_COUNT; turn += 1) {
    const memory = createPlanMemory();
    const startedAtMs = performance.now();
    const plan = await planFleet(within(input, limitMs), highs, clock, memory);
    times.push((performance.now() - startedAtMs) / MS_PER_SECOND);
    [cost, gap] = [plan.objectiveUsdPerHour, plan.gapFraction];
    const movedAtMs = performance.now();
    await planFleet(driftDemand(within(input, limitMs), 0.05, SEED + turn), highs, clock, memory);
    again.push((performance.now() - movedAtMs) / MS_PER_SECOND);
  }
  const seconds = quantile(times, 0.5);
  report.figure({ metric: `plan_${name}_seconds`, value: seconds, unit: "s" });
  const best = BEST_KNOWN_USD[`${name}/${SEED}`] ?? cost;
  report.figure({ metric: `plan_${name}_cost_vs_best`, value: cost / best, unit: "ratio" });
  report.figure({ metric: `plan_${name}_gap`, value: gap, unit: "ratio" });
  const metric = name === "xl" ? "replan_ratio" : `replan_${name}_ratio`;
  report.figure({ metric, value: quantile(again, 0.5) / seconds, unit: "ratio" });
  if (cost < best) report.note(`${name}: ${cost} USD/h is below the best known ${best}`);
  if (cost > best * (1 + THERE_FRACTION)) report.note(`${name}: above 0.5 % over the best known`);
  if (quick) return;
  for (const plain of [solvers.highs, solvers.glpk]) {
    await reportPlain(report, { name, input, seconds, plain });
  }
}

interface PlainRun {
  readonly name: string;
  readonly input: PlanInput;
  readonly seconds: number;
  readonly plain: MipSolver;
}

/** The plain formulation, straight to the solver: no relaxation, dives, parts or cuts of ours. */
async function reportPlain(
  report: Report,
  { name, input, seconds, plain }: PlainRun,
): Promise<void> {
  const { model } = formulate(presolve(readInput(input)), []);
  const startedAtMs = performance.now();
  let status: string;
  try {
    const gapFraction = input.policy.gapFraction;
    ({ status } = await plain.solve(model, { timeLimitMs: PLAIN_LIMIT_MS, gapFraction }));
  } catch (error) {
    status = String(error);
  }
  const took = (performance.now() - startedAtMs) / MS_PER_SECOND;
  const metric = `plan_${name}_vs_plain_${plain.name}`;
  report.figure({ metric, value: seconds / took, unit: "ratio" });
  if (status !== "optimal") {
    report.note(`${metric}: never within the gap (${status} after ${took.toFixed(1)} s): a bound`);
  }
}

async function reportBest(report: Report, name: string, input: PlanInput): Promise<void> {
  let best = Infinity;
  for (const gapFraction of [0.005, 0.001, 1e-4]) {
    const long = within(input, LONG_LIMIT_MS, gapFraction);
    const { objectiveUsdPerHour } = await planFleet(long, { highs: solvers.highs });
    best = Math.min(best, objectiveUsdPerHour);
    report.note(`${name}: gap ${gapFraction}: ${objectiveUsdPerHour} USD/h`);
  }
  report.note(`  "${name}/${SEED}": ${best},`);
}

function reportMemory(report: Report, file: string): void {
  const script = fileURLToPath(import.meta.resolve("./optimizer/plan-xl-alone.ts"));
  const flags = process.execArgv.filter((flag) => flag.startsWith("--conditions"));
  const output = execFileSync(process.execPath, [...flags, script, file, "xl"], {
    encoding: "utf8",
  });
  report.figure({ metric: "xl_memory_mib", value: Number(output), unit: "MiB" });
}

async function reportLeak(report: Report, input: PlanInput): Promise<void> {
  const limited = within(input, LIMIT_MS.s ?? MS_PER_SECOND);
  const solve = async (count: number): Promise<void> => {
    for (let turn = 0; turn < count; turn += 1) await planFleet(limited, { highs: solvers.highs });
  };
  await solve(LEAK_SOLVES);
  const before = process.memoryUsage.rss();
  await solve(LEAK_SOLVES);
  const grown = (process.memoryUsage.rss() - before) / 2 ** 20;
  const value = (grown * 1_000) / LEAK_SOLVES;
  report.figure({ metric: "leak_mib_per_1000_solves", value, unit: "MiB" });
}

async function reportSavings(report: Report, input: PlanInput): Promise<void> {
  const plan = (part: PlanInput) =>
    planFleet(within(part, 2 * MS_PER_SECOND), { highs: solvers.highs }, clock);
  const { objectiveUsdPerHour: own } = await plan(input);
  const baselines = {
    saving_vs_single_type: await singleTypeUsd(input, plan),
    saving_vs_greedy: await greedyUsd(input),
    saving_vs_unpooled: await unpooledUsd(input, plan),
  };
  for (const [metric, baseline] of Object.entries(baselines)) {
    report.figure({ metric, value: own, unit: "USD/h", baseline });
  }
}
