/** A token bucket per kind of request, as clouds limit the calls of one account. */

/** So many calls at once, and so many more each second. */
export interface RequestRate {
  readonly burst: number;
  readonly perSecond: number;
}

interface Bucket {
  tokens: number;
  atMs: number;
}

/** The buckets; one without a rate never refuses. */
export class RequestBudget {
  readonly #rates = new Map<string, RequestRate>();
  readonly #buckets = new Map<string, Bucket>();

  /** Sets the rate of one kind of request and fills its bucket; without a rate it is lifted. */
  set(kind: string, rate?: RequestRate): void {
    this.#buckets.delete(kind);
    if (rate === undefined) this.#rates.delete(kind);
    else this.#rates.set(kind, rate);
  }

  /** Whether one more request of this kind passes now; one that does is counted. */
  take(kind: string, nowMs: number): boolean {
    const rate = this.#rates.get(kind);
    if (rate === undefined) return true;
    const { tokens, atMs } = this.#buckets.get(kind) ?? { tokens: rate.burst, atMs: nowMs };
    const refilled = tokens + ((nowMs - atMs) / 1000) * rate.perSecond;
    const present = Math.min(rate.burst, refilled);
    const passes = present >= 1;
    this.#buckets.set(kind, { tokens: passes ? present - 1 : present, atMs: nowMs });
    return passes;
  }
}
