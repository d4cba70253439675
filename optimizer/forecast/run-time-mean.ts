/**
 * Mean run time of a function's inputs, for forecasts: precise while it holds, quick to change.
 *
 * A load is arrivals times this mean, so its error is an error of every forecast: over a thousand
 * inputs of which times scatter by their mean it is 2 %, as much as that of the arrivals of a
 * large fleet. It is therefore taken over 30,000. A second mean over a thousand watches it: when
 * they are further apart than chance allows (four standard errors of the quick one), the code or
 * what it is given has changed, and the quick one takes over.
 *
 * Not a value but an object, since it is told of every input. `note` is O(1).
 */

const SLOW_OVER = 30_000;
const QUICK_OVER = 1_000;
/** Standard errors. */
const APART_MAX = 4;
/** Of an exponential mean over n values: their standard deviation over √(2n - 1). */
const QUICK_ERROR = 1 / Math.sqrt(2 * QUICK_OVER - 1);

/** A mean that was written down. Plain data. */
export interface RunTimeMeanState {
  readonly count: number;
  readonly slowMs: number;
  readonly quickMs: number;
  readonly variance: number;
  readonly quickVariance: number;
}

export class RunTimeMean {
  #count = 0;
  #slowMs: number;
  #quickMs: number;
  /** Mean squared distances from the means. */
  #variance = 0;
  #quickVariance = 0;

  /** @param assumedMs What is taken for the mean until inputs have run; it counts as one. */
  constructor(assumedMs?: number) {
    this.#slowMs = this.#quickMs = assumedMs ?? 0;
    if (assumedMs !== undefined) this.#count = 1;
  }

  /** The mean; the assumed one, or 0, before anything has run. */
  get ms(): number {
    return this.#slowMs;
  }

  /** What it knows. */
  save(): RunTimeMeanState {
    return {
      count: this.#count,
      slowMs: this.#slowMs,
      quickMs: this.#quickMs,
      variance: this.#variance,
      quickVariance: this.#quickVariance,
    };
  }

  /** Knows what another one knew, and nothing else. */
  resume({ count, slowMs, quickMs, variance, quickVariance }: RunTimeMeanState): void {
    this.#count = count;
    this.#slowMs = slowMs;
    this.#quickMs = quickMs;
    this.#variance = variance;
    this.#quickVariance = quickVariance;
  }

  note(runMs: number): void {
    this.#count += 1;
    const share = 1 / Math.min(this.#count, SLOW_OVER);
    const distance = runMs - this.#slowMs;
    this.#slowMs += share * distance;
    this.#variance += share * (distance * (runMs - this.#slowMs) - this.#variance);
    const quickShare = 1 / Math.min(this.#count, QUICK_OVER);
    const quickDistance = runMs - this.#quickMs;
    this.#quickMs += quickShare * quickDistance;
    const square = quickDistance * (runMs - this.#quickMs);
    this.#quickVariance += quickShare * (square - this.#quickVariance);
    if (this.#count > QUICK_OVER) this.#compare();
  }

  #compare(): void {
    const apart = this.#quickMs - this.#slowMs;
    const most = APART_MAX * QUICK_ERROR;
    if (apart * apart <= most * most * this.#variance) return;
    this.#slowMs = this.#quickMs;
    this.#variance = this.#quickVariance;
    this.#count = QUICK_OVER;
  }
}
