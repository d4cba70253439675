/**
 * Times of millions of inputs in a few kilobytes: bins one percent wide in logs from a
 * millisecond to eleven days, and one for less. Quantiles are exact to that percent.
 */
import type { TimeQuantiles } from "../result.ts";

const WIDTH = Math.log(1.01);
const BIN_COUNT = 2_080;

/** A histogram that was written down. Plain data. */
export interface TimeHistogramState {
  readonly bins: Float64Array<ArrayBuffer>;
  readonly count: number;
  readonly sumMs: number;
  readonly maxMs: number;
}

export class TimeHistogram {
  #bins = new Float64Array(BIN_COUNT);
  #count = 0;
  #sumMs = 0;
  #maxMs = 0;

  get count(): number {
    return this.#count;
  }

  add(ms: number): void {
    this.#count += 1;
    const bin = ms < 1 ? 0 : Math.min(BIN_COUNT - 1, 1 + Math.floor(Math.log(ms) / WIDTH));
    this.#bins[bin] = (this.#bins[bin] ?? 0) + 1;
    if (ms <= 0) return;
    this.#sumMs += ms;
    if (ms > this.#maxMs) this.#maxMs = ms;
  }

  addAll(other: TimeHistogram): void {
    this.#count += other.#count;
    this.#sumMs += other.#sumMs;
    this.#maxMs = Math.max(this.#maxMs, other.#maxMs);
    for (let bin = 0; bin < BIN_COUNT; bin += 1) {
      this.#bins[bin] = (this.#bins[bin] ?? 0) + (other.#bins[bin] ?? 0);
    }
  }

  /** What it holds, by reference. */
  save(): TimeHistogramState {
    return { bins: this.#bins, count: this.#count, sumMs: this.#sumMs, maxMs: this.#maxMs };
  }

  /** Takes the place of what it holds. */
  resume({ bins, count, sumMs, maxMs }: TimeHistogramState): void {
    this.#bins = bins;
    this.#count = count;
    this.#sumMs = sumMs;
    this.#maxMs = maxMs;
  }

  clear(): void {
    this.#bins.fill(0);
    this.#count = 0;
    this.#sumMs = 0;
    this.#maxMs = 0;
  }

  /** The time that the share `q` of all is not above; 0 when there are none. O(bins). */
  quantileMs(q: number): number {
    let missing = Math.ceil(q * this.#count);
    if (this.#count === 0) return 0;
    missing -= this.#bins[0] ?? 0;
    if (missing <= 0) return 0;
    for (let bin = 1; bin < BIN_COUNT; bin += 1) {
      missing -= this.#bins[bin] ?? 0;
      if (missing <= 0) return Math.min(this.#maxMs, Math.exp((bin - 0.5) * WIDTH));
    }
    return this.#maxMs;
  }

  quantiles(): TimeQuantiles {
    return {
      count: this.#count,
      meanMs: this.#count === 0 ? 0 : this.#sumMs / this.#count,
      p50Ms: this.quantileMs(0.5),
      p90Ms: this.quantileMs(0.9),
      p99Ms: this.quantileMs(0.99),
      p999Ms: this.quantileMs(0.999),
      maxMs: this.#maxMs,
    };
  }
}
