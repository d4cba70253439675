/** One run of the benchmark, as plain data, so that it can be made in a thread of its own. */
import { createSolvers } from "../../optimizer/index.ts";
import { reactive, REACTIVE_70_10 } from "../../simulations/baselines/reactive.ts";
import type { CapacityPolicy } from "../../simulations/capacity-policy.ts";
import { checkpointTo, readCheckpoint } from "../../server/commands/simulate/checkpoint.ts";
import { Flight, type FlightOptions, type Progress } from "../../simulations/engine/flight.ts";
import { OurPolicy } from "../../simulations/policies/ours.ts";
import type { SimulationResult } from "../../simulations/result.ts";
import type { World } from "../../simulations/world.ts";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { worldOf, type WorldChoice } from "./worlds.ts";

export type PolicyChoice =
  | { readonly kind: "ours" }
  | { readonly kind: "reactive"; readonly utilizationTarget: number; readonly holdMs: number };

export interface Job {
  readonly dataDir: string;
  readonly world: WorldChoice;
  readonly policy: PolicyChoice;
  readonly seed: number;
  /** Time between rounds of placement, where it is not the simulator's own. */
  readonly placeEveryMs?: number;
}

/** What a run found, how long it took, and what memory it left in use. */
export interface Flown {
  readonly job: Job;
  readonly result: SimulationResult;
  readonly seconds: number;
  /** Processor time of its thread, which other work on the machine hardly changes. */
  readonly cpuSeconds: number;
  /** Memory in use after each quarter of the run, without garbage. */
  readonly heapMiB: readonly number[];
}

const QUARTERS = 4;

// The collector is there for those only that ask for it before they make a context.
setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

export interface FlyMeans {
  readonly onProgress?: (progress: Progress) => void;
  /** Where the run writes down how far it is, and goes on from. */
  readonly checkpointFile?: string | undefined;
}

/** Makes one run. Times and memory of one that goes on are those since then. */
export async function fly(job: Job, { onProgress, checkpointFile }: FlyMeans = {}): Promise<Flown> {
  const world = worldOf(job.dataDir, job.world);
  const policy = policyOf(job.policy, world);
  const heapMiB: number[] = [];
  const note = (progress: Progress): void => {
    const { nowMs, untilMs } = progress;
    while (nowMs >= ((heapMiB.length + 1) * untilMs) / QUARTERS) {
      heapMiB.push(heapInUseMiB());
    }
    onProgress?.(progress);
  };
  const { seed, placeEveryMs } = job;
  const paced = placeEveryMs === undefined ? {} : { placeEveryMs };
  const kept = checkpointFile === undefined ? {} : keptIn(checkpointFile);
  const startedMs = performance.now();
  const cpuBefore = process.threadCpuUsage();
  const result = await new Flight(world, policy, {
    seed,
    onProgress: note,
    ...paced,
    ...kept,
  }).run();
  const seconds = (performance.now() - startedMs) / 1_000;
  const { user, system } = process.threadCpuUsage(cpuBefore);
  return { job, result, seconds, cpuSeconds: (user + system) / 1e6, heapMiB };
}

/** What is left when garbage is collected, which takes some tens of milliseconds. */
function heapInUseMiB(): number {
  collectGarbage();
  return process.memoryUsage().heapUsed / 2 ** 20;
}

function keptIn(file: string): Pick<FlightOptions, "from" | "checkpoint"> {
  const from = readCheckpoint(file);
  const checkpoint = checkpointTo(file, () => performance.now());
  return { checkpoint, ...(from === undefined ? {} : { from }) };
}

function policyOf(choice: PolicyChoice, world: World): CapacityPolicy {
  const { optimizer, pool } = world.policy;
  if (choice.kind === "ours") {
    return new OurPolicy({ optimizer, pool, solvers: createSolvers() });
  }
  const { utilizationTarget, holdMs } = choice;
  const parameters = { ...REACTIVE_70_10, utilizationTarget, holdMs };
  return reactive(`reactive ${utilizationTarget} ${holdMs}`, parameters, optimizer);
}
