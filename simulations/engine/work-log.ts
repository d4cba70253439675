/** What the users of a run really asked for, whoever served it: for bounds and charts. */
import { MS_PER_MINUTE, MS_PER_SECOND, type Offer } from "../../core/index.ts";
import { b60GpuSeconds } from "../bounds/b60.ts";
import type { BoundReport } from "../result.ts";
import type { FunctionState } from "./function-state.ts";

const BUCKET_MS = MS_PER_MINUTE;

export class WorkLog {
  /** GPU-milliseconds wanted in each minute, were there no limit. */
  readonly #wanted: Float64Array;
  #workGpuMs = 0;

  constructor(durationMs: number) {
    this.#wanted = new Float64Array(Math.ceil(durationMs / BUCKET_MS));
  }

  add(owner: FunctionState, atMs: number, serviceMs: number): void {
    const gpus = owner.gpuCount / owner.spec.concurrency;
    this.#workGpuMs += gpus * serviceMs;
    let fromMs = atMs;
    let leftMs = serviceMs;
    while (leftMs > 0) {
      const bucket = Math.floor(fromMs / BUCKET_MS);
      if (bucket >= this.#wanted.length) return;
      const roomMs = (bucket + 1) * BUCKET_MS - fromMs;
      const takenMs = roomMs < leftMs ? roomMs : leftMs;
      this.#wanted[bucket] = (this.#wanted[bucket] ?? 0) + gpus * takenMs;
      leftMs -= takenMs;
      fromMs += takenMs;
    }
  }

  bounds(offers: readonly Offer[]): BoundReport {
    const priced = offers.filter(({ resources }) => resources.gpuCount > 0);
    const perGpuHour = Math.min(
      ...priced.map((offer) => offer.priceMicroUsdPerHour / offer.resources.gpuCount),
    );
    const bootMs = Math.min(...priced.map((offer) => offer.bootMs));
    const perGpuSecond = perGpuHour / 3_600;
    const concurrency = this.#wanted.map((gpuMs) => gpuMs / BUCKET_MS);
    const b60 = b60GpuSeconds(concurrency, bootMs / MS_PER_SECOND);
    return {
      b0MicroUsd: Math.round((this.#workGpuMs / MS_PER_SECOND) * perGpuSecond),
      b60MicroUsd: Math.round(b60 * perGpuSecond),
    };
  }

  /** Mean GPUs wanted in each bucket of `bucketMs`, a whole number of minutes. */
  offeredGpus(bucketMs: number): readonly number[] {
    const each = Math.round(bucketMs / BUCKET_MS);
    const count = Math.ceil(this.#wanted.length / each);
    return Array.from({ length: count }, (_, bucket) => {
      const part = this.#wanted.subarray(bucket * each, (bucket + 1) * each);
      return part.reduce((sum, gpuMs) => sum + gpuMs, 0) / Math.max(1, part.length) / BUCKET_MS;
    });
  }
}
