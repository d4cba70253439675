/** How long the inputs of a function run, as moving averages. */
import { RunTimeMean } from "../../optimizer/index.ts";
import { nextServiceMs } from "./window.ts";

/** Runs, or time in them, after which the averages tell something. */
const RUNS_TELLING = 128;
const RUN_MS_TELLING = 500;

export class RunTimes {
  #latelyMs: number | undefined;
  readonly #mean = new RunTimeMean();
  #count = 0;
  #sumMs = 0;

  note(runMs: number): void {
    this.#latelyMs = nextServiceMs(this.#latelyMs, runMs);
    this.#count += 1;
    this.#mean.note(runMs);
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

  /** Of many thousands, unless it has changed since: steadier, and slower to follow. */
  get meanMs(): number {
    return this.#mean.ms;
  }
}
