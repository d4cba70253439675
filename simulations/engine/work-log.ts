/** What the users of a run really asked for, whoever served it: for bounds and charts. */
import { boundsOf } from "../bounds/bounds.ts";
import {
  BOUND_BUCKET_MS,
  ConcurrencyMeter,
  type ConcurrencyMeterState,
} from "../bounds/concurrency-meter.ts";
import type { BoundReport } from "../result.ts";
import type { World } from "../world.ts";
import type { FunctionState } from "./function-state.ts";

export class WorkLog {
  readonly #functions: readonly FunctionState[];
  readonly #meters: readonly ConcurrencyMeter[];

  constructor(functions: readonly FunctionState[]) {
    this.#functions = functions;
    this.#meters = functions.map(() => new ConcurrencyMeter(0));
  }

  add({ index, gpuCount, spec }: FunctionState, atMs: number, serviceMs: number): void {
    this.#meters[index]?.addInput(atMs, serviceMs, gpuCount / spec.concurrency);
  }

  /** What it holds, by function; by reference. */
  save(): readonly ConcurrencyMeterState[] {
    return this.#meters.map((meter) => meter.save());
  }

  /** Takes the place of what it holds. */
  resume(states: readonly ConcurrencyMeterState[]): void {
    for (const [index, state] of states.entries()) this.#meters[index]?.resume(state);
  }

  bounds({ market, policy }: World): BoundReport {
    const demands = this.#functions.map(({ needs }, index) => ({
      needs,
      concurrency: this.#meters[index]?.concurrency() ?? new Float64Array(0),
    }));
    return boundsOf({ demands, market, policy: policy.optimizer, bucketMs: BOUND_BUCKET_MS });
  }

  /** Mean GPUs wanted in each of `count` buckets of `bucketMs`, a whole number of minutes. */
  offeredGpus(bucketMs: number, count: number): readonly number[] {
    const each = Math.round(bucketMs / BOUND_BUCKET_MS);
    const sums = new Float64Array(count);
    for (const meter of this.#meters) {
      for (const [minute, gpus] of meter.concurrency().entries()) {
        const bucket = Math.floor(minute / each);
        if (bucket < count) sums[bucket] = (sums[bucket] ?? 0) + gpus / each;
      }
    }
    return [...sums];
  }
}
