/** Makes the runs of the simulation benchmark, once each, and tells how they go. */
import type { SimulationResult } from "../../simulations/result.ts";
import type { OptionValues, Report } from "../harness.ts";
import { flyAll, type FlyOptions } from "./fly-all.ts";
import type { Flown, Job, PolicyChoice } from "./fly.ts";
import type { KeptRuns } from "./kept-runs.ts";
import type { WorldChoice } from "./worlds.ts";

const NOTE_EVERY_MS = 30_000;
const MS_PER_DAY = 86_400_000;

export class SimBench {
  readonly report: Report;
  readonly days: number;
  readonly seeds: number;
  readonly #dataDir: string;
  readonly #threads: number;
  readonly #kept: KeptRuns;
  #notedAtMs = performance.now();

  constructor(report: Report, dataDir: string, kept: KeptRuns, options: OptionValues) {
    this.report = report;
    this.days = Number(options["days"]);
    this.seeds = Number(options["seeds"]);
    this.#dataDir = dataDir;
    this.#threads = Number(options["jobs"]);
    this.#kept = kept;
  }

  /** The runs of the first `seeds` seeds; those that are kept are not made again. */
  async fly(
    world: WorldChoice,
    policy: PolicyChoice,
    { seeds = this.seeds, ...over }: Pick<Job, "placeEveryMs"> & { readonly seeds?: number } = {},
  ): Promise<readonly SimulationResult[]> {
    const jobs = Array.from({ length: seeds }, (_, index) => {
      return { ...this.#jobOf(world, policy, index + 1), ...over };
    });
    const known = new Map<number, Flown>();
    for (const job of jobs) {
      const flown = await this.#kept.get(job);
      if (flown !== undefined) known.set(job.seed, flown);
    }
    const missing = jobs.filter(({ seed }) => !known.has(seed));
    const checkpointOf = (job: Job): string => this.#kept.checkpointOf(job);
    const flown = await this.#flyAll(missing, { threads: this.#threads, checkpointOf });
    for (const one of flown) known.set(one.job.seed, one);
    return jobs.flatMap(({ seed }) => known.get(seed)?.result ?? []);
  }

  /** One run, made now and alone, so that nothing else is measured with it. */
  async flyAlone(world: WorldChoice, policy: PolicyChoice): Promise<Flown> {
    const [flown] = await this.#flyAll([this.#jobOf(world, policy, 1)], { threads: 1 });
    if (flown === undefined) throw new Error("a run gave no result");
    return flown;
  }

  #jobOf(world: WorldChoice, policy: PolicyChoice, seed: number): Job {
    const days = world.days ?? this.days;
    return { dataDir: this.#dataDir, world: { ...world, days }, policy, seed };
  }

  #flyAll(
    jobs: readonly Job[],
    means: Pick<FlyOptions, "threads" | "checkpointOf">,
  ): Promise<readonly Flown[]> {
    return flyAll(jobs, {
      ...means,
      onProgress: ({ world, seed }, { nowMs, untilMs, nodes }) => {
        if (performance.now() - this.#notedAtMs < NOTE_EVERY_MS) return;
        this.#notedAtMs = performance.now();
        const [day, days] = [nowMs, untilMs].map((ms) => (ms / MS_PER_DAY).toFixed(1));
        this.report.note(
          `  ${JSON.stringify(world)}, seed ${seed}: day ${day} of ${days}, ${nodes} nodes`,
        );
      },
      onFlown: async (flown, left) => {
        await this.#kept.put(flown);
        this.report.note(summaryOf(flown) + (left > 0 ? `; ${left} to go` : ""));
      },
    });
  }
}

function summaryOf({ result, seconds, cpuSeconds }: Flown): string {
  const { world, policy, seed, cost, bounds, waits } = result;
  const ratio = cost.paidMicroUsd / bounds.b60MicroUsd;
  return (
    `${world}, ${policy}, seed ${seed}: ${ratio.toFixed(3)} x B60, ` +
    `${(100 * waits.missFraction).toFixed(2)} % missed, ` +
    `${seconds.toFixed(0)} s (${cpuSeconds.toFixed(0)} s of processor)`
  );
}
