/** Flies policies x seeds, and before the tuned one the search for its setting. */
import {
  TUNING_SEED,
  tunedSetting,
  tuningFlights,
  type PolicyName,
  type ReactiveParameters,
  type RunSpec,
  type SimulationResult,
  type World,
} from "../../../simulations/index.ts";
import type { Crew, CrewTask } from "./crew.ts";
import { ProgressShow, type ProgressScreen } from "./progress.ts";
import type { RunStore } from "./run-store.ts";

export interface FlightPlan {
  readonly spec: RunSpec;
  /** Of the spec. */
  readonly world: World;
  readonly policies: readonly PolicyName[];
  readonly seeds: readonly number[];
}

/** How many of the runs are on disk; counted while they go. */
export interface Keeping {
  keptCount: number;
}

export interface FlightMeans {
  readonly crew: Crew;
  readonly screen: ProgressScreen;
  readonly keeping: Keeping;
  /** Where results are kept, and looked for. */
  readonly store?: RunStore;
}

const TUNED = "tuned-reactive";

/** All results, by policy in their order and by seed. */
export async function flyPolicies(
  { spec, world, policies, seeds }: FlightPlan,
  means: FlightMeans,
): Promise<readonly SimulationResult[]> {
  const tasksOf = (policyName: PolicyName, reactive?: ReactiveParameters): readonly CrewTask[] =>
    seeds.map((seed) => ({
      spec,
      order: { policyName, seed, ...(reactive === undefined ? {} : { overrides: { reactive } }) },
    }));
  const plain = policies.filter((name) => name !== TUNED).flatMap((name) => tasksOf(name));
  const isTuned = policies.includes(TUNED);
  const { grid, span } = tuningFlights(world);
  const tuning: readonly CrewTask[] = (isTuned ? grid : []).map((reactive) => ({
    spec,
    order: { policyName: TUNED, seed: TUNING_SEED, overrides: { reactive }, span },
  }));
  const total = plain.length + tuning.length + (isTuned ? seeds.length : 0);
  const show = new ProgressShow(total, means.screen, () => performance.now());
  try {
    const first = await flyTasks([...plain, ...tuning], show, means);
    if (!isTuned) return first;
    const runs = grid.map((parameters, index) => {
      const { cost, waits } = at(first, plain.length + index);
      const { missFraction } = waits;
      return { parameters, paidMicroUsd: cost.paidMicroUsd, missFraction };
    });
    const setting = tunedSetting(runs, world);
    show.say(settingText(setting, grid.length));
    const tuned = await flyTasks(tasksOf(TUNED, setting), show, means);
    return inOrder(policies, [...first.slice(0, plain.length), ...tuned]);
  } finally {
    show.close();
  }
}

/** Results of tasks, in their order; those that are kept are not flown. */
async function flyTasks(
  tasks: readonly CrewTask[],
  show: ProgressShow,
  { crew, keeping, store }: FlightMeans,
): Promise<readonly SimulationResult[]> {
  const kept = await Promise.all(tasks.map(async (task) => await store?.get(task)));
  const keptCount = kept.filter((result) => result !== undefined).length;
  keeping.keptCount += keptCount;
  if (keptCount > 0) show.skip(keptCount, tasks.length);
  const left = tasks
    .filter((_, index) => kept[index] === undefined)
    .map((task) => store?.withCheckpoint(task) ?? task);
  const keep = async (task: CrewTask, result: SimulationResult): Promise<void> => {
    await store?.put(task, result);
    keeping.keptCount += 1;
    // Only now: what is said to be done is kept.
    show.done(task, result);
  };
  const flown = await crew.fly(left, {
    onStart: (task) => show.start(task),
    onProgress: (task, progress) => show.progress(task, progress),
    onResult: keep,
  });
  let next = 0;
  return kept.map((result) => result ?? at(flown, next++));
}

function at(results: readonly SimulationResult[], index: number): SimulationResult {
  const result = results[index];
  if (result === undefined) throw new Error(`run ${index} has no result`);
  return result;
}

function inOrder(
  policies: readonly string[],
  results: readonly SimulationResult[],
): readonly SimulationResult[] {
  return policies.flatMap((name) => results.filter(({ policy }) => policy === name));
}

function settingText({ utilizationTarget, holdMs }: ReactiveParameters, count: number): string {
  return (
    `• ${TUNED}: of ${count} settings on the first half, the best is ` +
    `${utilizationTarget} busy, kept for ${holdMs / 1_000} s`
  );
}
