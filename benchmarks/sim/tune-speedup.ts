/**
 * How much faster a search is on two threads than on one: 64 candidates, each flown over the same
 * two days, threads started anew for both. Both must find the same.
 */
import { assert, MS_PER_HOUR } from "../../core/index.ts";
import { basePolicyContent, parametersOf } from "../../server/commands/tune/base-policy.ts";
import { flightsOf, isPolicy } from "../../server/commands/tune/flights.ts";
import { Crew } from "../../server/commands/simulate/crew.ts";
import {
  FIGURE_NAMES,
  readObjective,
  readWorld,
  tune,
  type RunSpec,
  type SearchWindows,
  type TuneOutcome,
} from "../../simulations/index.ts";
import { fileURLToPath } from "node:url";
import type { Report } from "../harness.ts";

const CANDIDATES = 64;
const HOURS = 48;
const SPEC: RunSpec = {
  trace: {
    file: fileURLToPath(new URL("./tune-demand.yaml", import.meta.url)),
    format: "synthetic",
  },
  controlMs: 30_000,
};
const PARAMS = "buffers.quantile=0.5..0.999,pool.idleReleaseSeconds=30..600:log";

/** Reports `tune_speedup_2_threads`; about a minute on one thread and half of it on two. */
export async function reportTuneSpeedup(report: Report): Promise<void> {
  const one = await searchOn(1);
  report.note(
    `tune: ${CANDIDATES} candidates over ${HOURS} h on 1 thread: ${seconds(one.tookMs)} s`,
  );
  const two = await searchOn(2);
  report.note(`tune: the same on 2 threads: ${seconds(two.tookMs)} s`);
  const [first, second] = [one, two].map(({ outcome }) => JSON.stringify(outcome));
  assert(first === second, "a search finds the same on any number of threads");
  report.figure({ metric: "tune_1_thread", value: seconds(one.tookMs), unit: "s" });
  report.figure({
    metric: "tune_speedup_2_threads",
    value: Math.round((one.tookMs / two.tookMs) * 100) / 100,
    unit: "x",
  });
}

async function searchOn(
  jobCount: number,
): Promise<{ readonly outcome: TuneOutcome; readonly tookMs: number }> {
  const world = readWorld(SPEC);
  const parameters = parametersOf(PARAMS, world);
  const base = basePolicyContent(undefined);
  const startedMs = performance.now();
  const crew = new Crew(jobCount);
  try {
    const outcome = await tune({
      ...{ parameters, jobCount, seed: 1, windows: windowsOf(HOURS * MS_PER_HOUR) },
      objective: readObjective("cost + 0.002*waitP99Ms", FIGURE_NAMES),
      size: {
        brackets: Array<number>(4).fill(CANDIDATES / 4),
        finalistCount: 1,
        runs: CANDIDATES + 3,
      },
      isAllowed: (settings) => isPolicy(settings, { base, parameters }),
      fly: flightsOf({ spec: SPEC, base, parameters, crew }),
    });
    return { outcome, tookMs: performance.now() - startedMs };
  } finally {
    await crew.close();
  }
}

/** All candidates fly all of the two days; a last hour is held out. */
function windowsOf(untilMs: number): SearchWindows {
  const train = { span: { fromMs: 0, untilMs }, seeds: [1] };
  const heldOut = { span: { fromMs: untilMs, untilMs: untilMs + MS_PER_HOUR }, seeds: [2] };
  return { train, heldOut, rungs: [train] };
}

function seconds(ms: number): number {
  return Math.round(ms / 100) / 10;
}
