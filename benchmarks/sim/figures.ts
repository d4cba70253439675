/** Figures of the simulation benchmark out of results. */
import type { SimulationResult } from "../../simulations/result.ts";
import type { Report } from "../harness.ts";

type Results = readonly SimulationResult[];
type Measure = (result: SimulationResult) => number;

/** What was paid over a bound, summed over the runs. */
export function reportCost(
  report: Report,
  metric: string,
  results: Results,
  boundOf: Measure,
): void {
  const value = sumOf(results, paidOf) / 1e6;
  report.figure({ metric, value, baseline: sumOf(results, boundOf) / 1e6, unit: "USD" });
}

/** What was paid over what others paid in the same world, with the misses of both. */
export function reportAgainst(
  report: Report,
  metric: string,
  results: Results,
  others: Results,
): void {
  reportCost(report, metric, results, (result) => paidOf(sameRun(others, result)));
  const [value, baseline] = [meanOf(results, missesOf), meanOf(others, missesOf)];
  report.figure({ metric: `${metric}_misses`, value, baseline, unit: "share" });
}

/** Waits, as means over the runs. */
export function reportWaits(report: Report, results: Results, suffix = ""): void {
  const figure = (metric: string, unit: string, of: Measure): void =>
    report.figure({ metric: `${metric}${suffix}`, value: meanOf(results, of), unit });
  figure("wait_p99_ms", "ms", ({ waits }) => waits.slot.p99Ms);
  figure("wait_p999_ms", "ms", ({ waits }) => waits.slot.p999Ms);
  figure("bad_windows", "share", ({ badWindowFraction }) => badWindowFraction);
  figure("misses", "share", missesOf);
}

export function paidOf({ cost }: SimulationResult): number {
  return cost.paidMicroUsd;
}

export function b60Of({ bounds }: SimulationResult): number {
  return bounds.b60MicroUsd;
}

export function missesOf({ waits }: SimulationResult): number {
  return waits.missFraction;
}

export function usefulOverPaid({ gpu }: SimulationResult): number {
  return gpu.usefulGpuSeconds / gpu.paidGpuSeconds;
}

export function sumOf(results: Results, of: Measure): number {
  return results.reduce((sum, result) => sum + of(result), 0);
}

export function meanOf(results: Results, of: Measure): number {
  return sumOf(results, of) / results.length;
}

function sameRun(others: Results, { seed }: SimulationResult): SimulationResult {
  const other = others.find((one) => one.seed === seed);
  if (other === undefined) throw new Error(`nothing flew seed ${seed} to compare with`);
  return other;
}
