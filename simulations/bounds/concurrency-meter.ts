/**
 * How many GPUs the inputs of a run would hold if none ever waited, averaged over buckets.
 *
 * Each input adds its overlap with each bucket; nothing is allocated but when the meter grows to
 * twice its length, so tens of millions of inputs cost a few additions each.
 */
import { MS_PER_MINUTE, MS_PER_SECOND } from "../../core/index.ts";

/** The buckets of the bound B60. */
export const BOUND_BUCKET_MS = MS_PER_MINUTE;

const FIRST_BUCKET_COUNT = 1_024;

/** A meter that was written down. Plain data. */
export interface ConcurrencyMeterState {
  readonly busyMs: Float64Array<ArrayBuffer>;
  readonly bucketCount: number;
}

export class ConcurrencyMeter {
  readonly bucketMs: number;
  readonly #fromMs: number;
  /** GPU-milliseconds by bucket. */
  #busyMs = new Float64Array(FIRST_BUCKET_COUNT);
  #bucketCount = 0;

  /** @param fromMs Where the first bucket begins; no input may come before it. */
  constructor(fromMs: number, bucketMs: number = BOUND_BUCKET_MS) {
    this.#fromMs = fromMs;
    this.bucketMs = bucketMs;
  }

  /**
   * An input that would run from its arrival on. O(buckets that it spans).
   *
   * @param gpuCount GPUs that it holds: those of its container over the container's concurrency.
   */
  addInput(atMs: number, serviceMs: number, gpuCount: number): void {
    const { bucketMs } = this;
    let startMs = atMs - this.#fromMs;
    const endMs = startMs + serviceMs;
    let bucket = Math.floor(startMs / bucketMs);
    const last = Math.max(bucket, Math.ceil(endMs / bucketMs) - 1);
    if (last >= this.#busyMs.length) this.#grow(last + 1);
    if (last >= this.#bucketCount) this.#bucketCount = last + 1;
    const busyMs = this.#busyMs;
    while (bucket < last) {
      const edgeMs = (bucket + 1) * bucketMs;
      busyMs[bucket] = (busyMs[bucket] ?? 0) + (edgeMs - startMs) * gpuCount;
      startMs = edgeMs;
      bucket += 1;
    }
    busyMs[last] = (busyMs[last] ?? 0) + (endMs - startMs) * gpuCount;
  }

  /** Mean GPUs in each bucket, up to the last one that an input touches. */
  concurrency(): Float64Array {
    return this.#busyMs.slice(0, this.#bucketCount).map((busyMs) => busyMs / this.bucketMs);
  }

  /** All work so far. */
  gpuSeconds(): number {
    return this.#busyMs.reduce((sum, busyMs) => sum + busyMs, 0) / MS_PER_SECOND;
  }

  /** What it holds, by reference. */
  save(): ConcurrencyMeterState {
    return { busyMs: this.#busyMs, bucketCount: this.#bucketCount };
  }

  /** Takes the place of what it holds. */
  resume({ busyMs, bucketCount }: ConcurrencyMeterState): void {
    this.#busyMs = busyMs;
    this.#bucketCount = bucketCount;
  }

  #grow(bucketCount: number): void {
    const grown = new Float64Array(Math.max(bucketCount, 2 * this.#busyMs.length));
    grown.set(this.#busyMs);
    this.#busyMs = grown;
  }
}
