/** The worlds that are flown, by name, and one run of any of them. */
import { createSolvers } from "../../optimizer/index.ts";
import { chaosHour, crashRun, type ChaosFindings } from "../../pool/test-chaos.ts";
import { MUTANTS } from "./mutants.ts";
import { PlatformWorld } from "./platform-world.ts";
import { RunRecord, type RunResult } from "./record.ts";
import type { Solvers } from "./server-life.ts";

/** One run to fly. */
export interface Task {
  readonly world: WorldName;
  readonly seed: number;
  /** A mistake of `MUTANTS` that is put in; only in the world `platform`. */
  readonly mutant?: string;
  /** Last events kept. */
  readonly traceMax?: number;
}

/** Seeds of each world that `npm test` flies. */
export const SEEDS = 500;

/** What each world is about. */
export const WORLDS = {
  platform: "calls, queue, placing, capacity and pool, with everything around them failing",
  "pool-crash": "the pool killed before and after each step of renting and releasing",
  "pool-hour": "an hour of the pool: shortages, lost answers, reclaims, jumps and deaths",
} as const;
export type WorldName = keyof typeof WORLDS;

/** A model with the answer 3: what a solver is warmed up with. */
const SMALLEST = {
  cost: Float64Array.of(1),
  lower: Float64Array.of(0),
  upper: Float64Array.of(5),
  integer: Uint8Array.of(1),
  rowLower: Float64Array.of(2.5),
  rowUpper: Float64Array.of(9),
  rowStarts: Int32Array.of(0, 1),
  columnIndexes: Int32Array.of(0),
  values: Float64Array.of(1),
};

let warm: Promise<Solvers> | undefined;

/** A solver that is loaded: it answers within a turn, whatever time it is. */
async function warmSolvers(): Promise<Solvers> {
  const { highs } = createSolvers();
  await highs.solve(SMALLEST, { timeLimitMs: 1_000, gapFraction: 0.01 });
  return { highs };
}

/** Flies one run. @throws Error for a mutant that there is not */
export async function runTask(task: Task): Promise<RunResult> {
  switch (task.world) {
    case "platform":
      return runPlatform(task);
    case "pool-crash":
      return poolResult(task, await crashRun(task.seed));
    case "pool-hour":
      return poolResult(task, await chaosHour(task.seed));
  }
}

async function runPlatform({ seed, mutant, traceMax }: Task): Promise<RunResult> {
  warm ??= warmSolvers();
  const solvers = await warm;
  const found = MUTANTS.find(({ name }) => name === mutant);
  if (mutant !== undefined && found === undefined) throw new Error(`there is no mutant ${mutant}`);
  const world = new PlatformWorld(seed, { solvers, traceMax, seams: found?.seams() ?? {} });
  return world.run(seed);
}

function poolResult({ world, seed }: Task, findings: ChaosFindings): RunResult {
  const record = new RunRecord(() => 0);
  for (const death of findings.deaths) record.event(`the pool died ${death}`);
  record.count("server deaths", findings.deaths.length);
  for (const leak of findings.leaks) record.broken("no machine without an owner", leak);
  for (const double of findings.doubleLaunches) record.broken("one machine for a node", double);
  for (const bill of findings.billedAfterRelease) {
    record.broken("nothing is billed after its release", bill);
  }
  for (const end of findings.unsettled) record.broken("the fleet becomes as planned", end);
  return record.result(world, seed);
}
