/** Limits on how often an action may be called: token buckets, as EC2's request throttling. */
import { MS_PER_SECOND, type Clock } from "../../../core/index.ts";

/** A bucket; absent numbers lift the limit. */
export interface RateLimitRule {
  /** Such as `DescribeInstances`; absent is one bucket that every call counts against. */
  readonly action?: string;
  readonly perSecond?: number;
  /** Calls at once, at least 1. */
  readonly burst?: number;
}

interface Bucket {
  readonly perSecond: number;
  readonly burst: number;
  left: number;
  atMs: number;
}

const EVERY_ACTION = "*";

/** The buckets in force; none at first. */
export class RateLimits {
  readonly #clock: Clock;
  readonly #buckets = new Map<string, Bucket>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Sets a full bucket, or lifts the limit. */
  set({ action = EVERY_ACTION, perSecond, burst = 1 }: RateLimitRule): void {
    if (perSecond === undefined) this.#buckets.delete(action);
    else this.#buckets.set(action, { perSecond, burst, left: burst, atMs: this.#clock.nowMs() });
  }

  /** Counts a call; false when it is one too many. */
  take(action: string): boolean {
    const nowMs = this.#clock.nowMs();
    const buckets = [EVERY_ACTION, action].flatMap((name) => this.#buckets.get(name) ?? []);
    for (const bucket of buckets) {
      const passedMs = Math.max(0, nowMs - bucket.atMs);
      bucket.left = Math.min(
        bucket.burst,
        bucket.left + (passedMs / MS_PER_SECOND) * bucket.perSecond,
      );
      bucket.atMs = nowMs;
    }
    if (buckets.some(({ left }) => left < 1)) return false;
    for (const bucket of buckets) bucket.left -= 1;
    return true;
  }
}
