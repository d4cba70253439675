/** How long the inputs of a function run, as moving averages. */
import { nextServiceMs } from "./window.ts";

/** Inputs that the slow average looks back over. */
const MEAN_OVER_RUNS = 1_000;
/** Runs, or time in them, after which the averages tell something. */
const RUNS_TELLING = 128;
const RUN_MS_TELLING = 500;

export class RunTimes {
  #latelyMs: number | undefined;
  #meanMs = 0;
  #count = 0;
  #sumMs = 0;

  note(runMs: number): void {
    this.#latelyMs = nextServiceMs(this.#latelyMs, runMs);
    this.#count += 1;
    this.#meanMs += (runMs - this.#meanMs) / Math.min(this.#count, MEAN_OVER_RUNS);
    this.#sumMs += runMs;
  }

  /** Of the last few, whether they tell or not; absent before the first. */
  get latelyMs(): number | undefined {
    return this.#latelyMs;
  }

  /** Whether enough have run: the first inputs of a container are slower than the rest. */
  get isTelling(): boolean {
    return this.#count >= RUNS_TELLING || this.#sumMs >= RUN_MS_TELLING;
  }

  /** Of the last thousand or so: steadier, and slower to follow a change. */
  get meanMs(): number {
    return this.#meanMs;
  }
}
