/**
 * How fast machines may be asked for: a token bucket per cloud account, in nodes.
 *
 *     allowance(t) = min(burst, allowance(t0) + (t - t0) * perSecond)
 *
 * Whether a rent succeeds makes no difference: a market that refuses everything is asked no
 * faster than one that gives. A clock that is set back fills no bucket.
 */
import { MS_PER_SECOND, type CloudName } from "../core/index.ts";

/** Bounds of the bucket of each account. */
export interface LaunchRate {
  readonly perSecondMax: number;
  readonly burstMax: number;
}

/** What is left in each bucket, and since when. Plain data. */
export type LaunchBuckets = Map<CloudName, { readonly left: number; readonly atMs: number }>;

/** The buckets of one controller; all are full at first. */
export class LaunchLimiter {
  readonly #rate: LaunchRate;
  /** A cloud without one has a full one. */
  buckets: LaunchBuckets = new Map();

  constructor(rate: LaunchRate) {
    this.#rate = rate;
  }

  /** Takes up to `count` launches; gives how many may be made now. */
  take(cloud: CloudName, count: number, nowMs: number): number {
    const { perSecondMax, burstMax } = this.#rate;
    const bucket = this.buckets.get(cloud) ?? { left: burstMax, atMs: nowMs };
    const passedMs = Math.max(0, nowMs - bucket.atMs);
    const left = Math.min(burstMax, bucket.left + (passedMs / MS_PER_SECOND) * perSecondMax);
    const granted = Math.min(count, Math.floor(left));
    this.buckets.set(cloud, { left: left - granted, atMs: nowMs });
    return granted;
  }
}
