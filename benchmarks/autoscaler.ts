/**
 * What each rule of the function autoscaler saves and costs: one function on virtual time, under
 * streams that rise, burst, come by a timer or at random, with starts of 2, 20 and 60 s.
 *
 * - `..._wait`: mean wait of an input with all rules, against those without the named rule.
 * - `..._time`: container time with all rules, against the same.
 * - `..._starts`: starts, against those of one who knows every arrival and starts in no time.
 */
import { DEFAULT_SCALE_RULES } from "../scheduler/autoscale/scale.ts";
import type { ScaleRules } from "../scheduler/autoscale/function-state.ts";
import { simulateStream, type StreamedInput } from "../scheduler/autoscale/simulate-stream.ts";
import {
  burstyStream,
  idealStarts,
  periodicStream,
  ratedStream,
} from "../scheduler/autoscale/streams.ts";
import { MS_PER_HOUR, MS_PER_MINUTE } from "../core/index.ts";
import type { Report } from "./harness.ts";

const SEED = 1;
const WINDOW_MS = MS_PER_MINUTE;
const STARTUPS_S = [2, 20, 60] as const;
const RUN_MS = 1_000;
/** After the last input, so that what is idle has ended. */
const SETTLE_MS = 5 * MS_PER_MINUTE;

const LABELS: Readonly<Record<keyof ScaleRules, string>> = {
  arrivalRate: "arrival_rate",
  panic: "panic",
  prediction: "prediction",
};

interface Scene {
  readonly name: string;
  readonly inputs: readonly StreamedInput[];
  /** The rule that this is to judge. */
  readonly rule: keyof ScaleRules;
}

export async function run(report: Report): Promise<void> {
  for (const scene of scenes()) {
    report.note(`${scene.name}: ${scene.inputs.length} inputs, seed ${SEED}`);
    for (const startupS of STARTUPS_S) reportScene(report, scene, startupS);
    // Lets the progress out.
    await Promise.resolve();
  }
}

function scenes(): readonly Scene[] {
  const hour = { seed: SEED, durationMs: MS_PER_HOUR, runMs: RUN_MS };
  const long = { ...hour, durationMs: 4 * MS_PER_HOUR };
  const burst = { burstMs: MS_PER_MINUTE, meanGapMs: 10 * MS_PER_MINUTE };
  const every = { everyMs: 5 * MS_PER_MINUTE, inputs: 3 };
  return [
    { name: "steady", rule: "arrivalRate", inputs: ratedStream(hour, () => 5) },
    { name: "rising", rule: "arrivalRate", inputs: ratedStream(hour, risingRate) },
    { name: "bursts", rule: "panic", inputs: burstyStream(hour, { quiet: 0.5, burst: 20 }, burst) },
    {
      name: "timer",
      rule: "prediction",
      inputs: periodicStream(long, { ...every, jitterMs: 500 }),
    },
    {
      name: "loose_timer",
      rule: "prediction",
      inputs: periodicStream(long, { ...every, jitterMs: 10_000 }),
    },
    { name: "random", rule: "prediction", inputs: ratedStream(long, () => 1 / 150) },
  ];
}

/** From nothing to 20 inputs a second within the hour. */
function risingRate(atMs: number): number {
  return (20 * atMs) / MS_PER_HOUR;
}

function reportScene(report: Report, { name, inputs, rule }: Scene, startupS: number): void {
  const all = measure(inputs, startupS, DEFAULT_SCALE_RULES);
  const without = measure(inputs, startupS, { ...DEFAULT_SCALE_RULES, [rule]: false });
  const prefix = `${name}_${startupS}s`;
  const figure = (what: string, value: number, baseline: number, unit: string): void =>
    report.figure({ metric: `${prefix}_${what}`, value, baseline, unit });
  figure(`${LABELS[rule]}_wait`, all.meanWaitMs, without.meanWaitMs, "ms");
  figure(`${LABELS[rule]}_time`, all.containerS, without.containerS, "container-s");
  figure("starts", all.starts, idealStarts(inputs, WINDOW_MS, 0), "starts");
}

interface Measured {
  readonly meanWaitMs: number;
  readonly containerS: number;
  readonly starts: number;
}

function measure(inputs: readonly StreamedInput[], startupS: number, rules: ScaleRules): Measured {
  const endMs = (inputs.at(-1)?.atMs ?? 0) + SETTLE_MS;
  const outcome = simulateStream({ inputs, startupMs: startupS * 1_000, rules, endMs });
  const waitedMs = outcome.waitsMs.reduce((sum, waitMs) => sum + waitMs, 0);
  return {
    meanWaitMs: waitedMs / Math.max(1, outcome.waitsMs.length),
    containerS: outcome.containerMs / 1_000,
    starts: outcome.starts,
  };
}
