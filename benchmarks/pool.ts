/**
 * How fast the pool decides and acts, and what it leaves behind when everything fails.
 *
 * - `reconcile_10k_ms`: one decision over 10,000 nodes and 1,500 offers (median).
 * - `reconcile_growth`: exponent g in "cost of a decision ~ nodes^g", from 1,000 to 100,000.
 * - `pending_to_registered_ms`: on the whole platform with an emulated EC2, from a call that waits
 *   for a machine to that machine's agent, less the emulator's own boot delay (median).
 * - `api_calls_per_1000_launches_<cloud>`: calls of the cloud's API for 1,000 machines in batches,
 *   by the real SDK against the emulator; the baseline is one call a machine.
 * - `chaos_seeds`, `chaos_leaks`, `chaos_double_launches`: the pool killed at every step, and what
 *   the checkers found; `chaos_hours` are hours of failing clouds besides.
 */
import { performance } from "node:perf_hooks";
import { assert } from "../core/index.ts";
import { reconcile } from "../pool/reconcile.ts";
import { chaosHour, crashRun } from "../pool/test-chaos.ts";
import { CLOUD_BENCHES, LAUNCH_COUNT } from "./pool/api-calls.ts";
import { marketOf, SNAPSHOT_MS, snapshotOf } from "./pool/fleet.ts";
import { measurePendingMs } from "./pool/pending.ts";
import { quantile, type BenchmarkOptions, type OptionValues, type Report } from "./harness.ts";

export const options: BenchmarkOptions = {
  seeds: { placeholder: "COUNT", default: "1000", description: "crash runs" },
  hours: { placeholder: "COUNT", default: "10", description: "hours of chaos" },
};

const OFFERS = 1_500;
const NODES = 10_000;
const GROWTH_NODE_COUNTS = [1_000, 3_000, 10_000, 30_000, 100_000] as const;
const ROUNDS = 15;

export async function run(report: Report, { seeds = "", hours = "" }: OptionValues): Promise<void> {
  reportDecisions(report);
  for (const { cloud, countCalls } of CLOUD_BENCHES) {
    report.note(`renting ${LAUNCH_COUNT} machines on ${cloud}`);
    report.figure({
      metric: `api_calls_per_1000_launches_${cloud}`,
      value: await countCalls(),
      unit: "calls",
      baseline: LAUNCH_COUNT,
    });
  }
  await reportChaos(report, { seedCount: Number(seeds), hourCount: Number(hours) });
  const waits = await measurePendingMs(report);
  const value = quantile(waits, 0.5);
  report.figure({ metric: "pending_to_registered_ms", value, unit: "ms" });
}

function reportDecisions(report: Report): void {
  const costs = new Map<number, number>();
  for (const nodeCount of GROWTH_NODE_COUNTS) {
    const costMs = decisionMs(nodeCount);
    costs.set(nodeCount, costMs);
    report.note(`${nodeCount} nodes: ${costMs.toFixed(2)} ms`);
  }
  report.figure({ metric: "reconcile_10k_ms", value: costs.get(NODES) ?? Number.NaN, unit: "ms" });
  report.figure({ metric: "reconcile_growth", value: exponentOf(costs), unit: "exponent" });
}

function decisionMs(nodeCount: number): number {
  const snapshot = snapshotOf(nodeCount, marketOf(OFFERS));
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const startedAtMs = performance.now();
    const actions = reconcile(snapshot, SNAPSHOT_MS);
    times.push(performance.now() - startedAtMs);
    assert(actions.length > 0, "the fleet has something to do");
  }
  return quantile(times, 0.5);
}

/** Slope of log cost over log size, by least squares. */
function exponentOf(costs: ReadonlyMap<number, number>): number {
  const points = [...costs].map(([size, cost]) => ({ x: Math.log(size), y: Math.log(cost) }));
  const mean = (of: (point: { x: number; y: number }) => number): number =>
    points.reduce((sum, point) => sum + of(point), 0) / points.length;
  const [meanX, meanY] = [mean(({ x }) => x), mean(({ y }) => y)];
  return mean(({ x, y }) => (x - meanX) * (y - meanY)) / mean(({ x }) => (x - meanX) ** 2);
}

async function reportChaos(
  report: Report,
  { seedCount, hourCount }: { readonly seedCount: number; readonly hourCount: number },
): Promise<void> {
  let leaks = 0;
  let doubleLaunches = 0;
  let others = 0;
  const note = (what: string, findings: Awaited<ReturnType<typeof crashRun>>): void => {
    leaks += findings.leaks.length;
    doubleLaunches += findings.doubleLaunches.length;
    const rest = [...findings.billedAfterRelease, ...findings.unsettled];
    others += rest.length;
    for (const problem of [...findings.leaks, ...findings.doubleLaunches, ...rest]) {
      report.note(`${what}: ${problem}`);
    }
  };
  for (let seed = 1; seed <= seedCount; seed += 1) note(`crash ${seed}`, await crashRun(seed));
  for (let seed = 1; seed <= hourCount; seed += 1) note(`hour ${seed}`, await chaosHour(seed));
  report.figure({ metric: "chaos_seeds", value: seedCount, unit: "runs" });
  report.figure({ metric: "chaos_hours", value: hourCount, unit: "hours" });
  report.figure({ metric: "chaos_leaks", value: leaks, unit: "machines" });
  report.figure({ metric: "chaos_double_launches", value: doubleLaunches, unit: "machines" });
  report.figure({ metric: "chaos_other_findings", value: others, unit: "findings" });
}
