/**
 * Client-side rate limits: a token bucket per account and API, which learns from throttles.
 *
 *     tokens(t) = min(burst, tokens(t0) + (t - t0) * rate)
 *
 * A throttle empties the bucket and closes it: for as long as the answer says (Retry-After), or
 * for `PAUSE_MS_MIN * 2^(n-1)` after the n-th in a row, of which a random half is taken off. It
 * also halves the rate, down to a sixteenth; every `RECOVERY_MS` without another doubles it back,
 * so that a storm is over within 40 s of its end. The throttled call goes back to the head of
 * its class and is repeated, until it has waited `waitMsMax`; then its last error is thrown.
 *
 * Callers of one bucket wait in order of urgency: releases before rents before reads, so that
 * giving machines back is never starved by asking for them.
 *
 * Every try has a deadline: a server that never answers costs `deadlineMs`, not for ever.
 *
 * Source of the pauses and the jitter: "Exponential Backoff And Jitter", AWS Architecture Blog
 * (equal jitter); halving and slow recovery as in TCP's congestion control (RFC 5681).
 */
import { assert, MS_PER_SECOND, PlatformError, type Clock, type Rng } from "../core/index.ts";

/** Deadline of a call that only reads, of one try. */
export const READ_DEADLINE_MS = 5_000;

/** Deadline of a call that rents, tags or releases, of one try. */
export const CHANGE_DEADLINE_MS = 30_000;

/** Bounds of one bucket. */
export interface RateLimit {
  /** Calls per second in the long run. */
  readonly perSecond: number;
  /** Calls at once, at least 1. */
  readonly burst: number;
}

/** What a throttled answer says. */
export interface Throttle {
  /** How long to wait, when the answer says so. */
  readonly retryAfterMs?: number;
}

/** A call to be made when its turn comes. */
export interface LimitedCall<T> {
  /** The bucket that it counts against. */
  readonly api: string;
  readonly urgency: Urgency;
  /** Longest wait for the answer of one try. */
  readonly deadlineMs: number;
  /** Makes the call once; the signal aborts at the deadline. */
  readonly run: (signal: AbortSignal) => Promise<T>;
  /** What an error says about rates; undefined when it is no throttle, and it is thrown on. */
  readonly throttleOf: (error: unknown) => Throttle | undefined;
}

export type Urgency = "release" | "rent" | "read";

export interface RateLimiterOptions {
  readonly clock: Clock;
  readonly rng: Rng;
  readonly limitOf: (api: string) => RateLimit;
  /** A call that was throttled gives up when it has waited this long; 20 s when absent. */
  readonly waitMsMax?: number;
}

const WAIT_MS_MAX = 20_000;
const PAUSE_MS_MIN = 500;
const PAUSE_MS_MAX = 16_000;
const RECOVERY_MS = 10_000;
const RATE_FRACTION_MIN = 1 / 16;

const PRIORITY: Readonly<Record<Urgency, number>> = { release: 0, rent: 1, read: 2 };

/** The buckets of one account. */
export class RateLimiter {
  readonly #options: RateLimiterOptions;
  readonly #buckets = new Map<string, Bucket>();

  constructor(options: RateLimiterOptions) {
    this.#options = options;
  }

  /**
   * Makes a call within the limits.
   *
   * @throws PlatformError `timed_out` at the deadline; the error of the last try when it was
   *   throttled for too long; any other error of the call unchanged.
   */
  async call<T>(call: LimitedCall<T>): Promise<T> {
    const { clock, waitMsMax = WAIT_MS_MAX } = this.#options;
    const bucket = this.#bucketOf(call.api);
    const startedAtMs = clock.nowMs();
    for (let isRepeat = false; ; isRepeat = true) {
      await bucket.turn(PRIORITY[call.urgency], isRepeat);
      try {
        const answer = await this.#withDeadline(call);
        bucket.noteServed();
        return answer;
      } catch (error) {
        const throttle = call.throttleOf(error);
        if (throttle === undefined) throw error;
        const pauseMs = bucket.noteThrottled(throttle);
        if (clock.nowMs() + pauseMs - startedAtMs > waitMsMax) throw error;
      }
    }
  }

  #bucketOf(api: string): Bucket {
    const known = this.#buckets.get(api);
    if (known !== undefined) return known;
    const { clock, rng, limitOf } = this.#options;
    const bucket = new Bucket(limitOf(api), clock, rng.fork(api));
    this.#buckets.set(api, bucket);
    return bucket;
  }

  async #withDeadline<T>({ api, deadlineMs, run }: LimitedCall<T>): Promise<T> {
    const { clock } = this.#options;
    const aborting = new AbortController();
    const settled = new AbortController();
    const answer = run(aborting.signal);
    const late = clock.sleep(deadlineMs, settled.signal).then(() => {
      const error = tooLate(api, deadlineMs);
      if (!settled.signal.aborted) aborting.abort(error);
      throw error;
    });
    try {
      return await Promise.race([answer, late]);
    } finally {
      settled.abort();
      // The loser of the race is not looked at any more.
      for (const one of [answer, late]) one.catch(() => undefined);
    }
  }
}

interface Waiter {
  readonly priority: number;
  readonly order: number;
  readonly go: () => void;
}

/** One bucket and those who wait for it. */
class Bucket {
  readonly #limit: RateLimit;
  readonly #clock: Clock;
  readonly #rng: Rng;
  #waiters: Waiter[] = [];
  #isPumping = false;
  #arrivals = 0;
  #tokens: number;
  #atMs: number;
  #closedUntilMs = -Infinity;
  #throttlesInRow = 0;
  #throttledAtMs = -Infinity;
  #rateFraction = 1;

  constructor(limit: RateLimit, clock: Clock, rng: Rng) {
    assert(limit.burst >= 1 && limit.perSecond > 0, "a bucket lets calls through");
    this.#limit = limit;
    this.#clock = clock;
    this.#rng = rng;
    this.#tokens = limit.burst;
    this.#atMs = clock.nowMs();
  }

  /** Resolves when a call may be made. A repeated call goes before others of its priority. */
  turn(priority: number, isRepeat: boolean): Promise<void> {
    this.#arrivals += 1;
    const order = isRepeat ? -this.#arrivals : this.#arrivals;
    return new Promise((go) => {
      this.#waiters.push({ priority, order, go });
      this.#waiters.sort((one, other) => one.priority - other.priority || one.order - other.order);
      if (!this.#isPumping) void this.#pump();
    });
  }

  noteServed(): void {
    this.#throttlesInRow = 0;
  }

  /** Closes the bucket for a while; gives for how long. */
  noteThrottled({ retryAfterMs }: Throttle): number {
    const nowMs = this.#clock.nowMs();
    this.#refill(nowMs);
    // Calls that were under way together are throttled together: that is one throttle.
    const isNew = nowMs >= this.#closedUntilMs;
    if (isNew) {
      this.#throttlesInRow += 1;
      this.#rateFraction = Math.max(RATE_FRACTION_MIN, this.#rateFraction / 2);
    }
    const fullMs = Math.min(PAUSE_MS_MAX, PAUSE_MS_MIN * 2 ** (this.#throttlesInRow - 1));
    const pauseMs = retryAfterMs ?? Math.round(fullMs * (0.5 + this.#rng.next() / 2));
    this.#tokens = 0;
    this.#throttledAtMs = nowMs;
    this.#closedUntilMs = Math.max(this.#closedUntilMs, nowMs + pauseMs);
    return this.#closedUntilMs - nowMs;
  }

  async #pump(): Promise<void> {
    this.#isPumping = true;
    for (;;) {
      const waitMs = this.#waitMs();
      if (waitMs > 0) {
        await this.#clock.sleep(waitMs);
        continue;
      }
      const next = this.#waiters.shift();
      if (next === undefined) break;
      this.#tokens -= 1;
      next.go();
    }
    this.#isPumping = false;
  }

  /** Until the next call may be made; 0 when nobody waits. */
  #waitMs(): number {
    if (this.#waiters.length === 0) return 0;
    const nowMs = this.#clock.nowMs();
    this.#refill(nowMs);
    if (nowMs < this.#closedUntilMs) return this.#closedUntilMs - nowMs;
    if (this.#tokens >= 1) return 0;
    return Math.ceil(((1 - this.#tokens) / this.#perSecond()) * MS_PER_SECOND);
  }

  #refill(nowMs: number): void {
    const passedMs = Math.max(0, nowMs - this.#atMs);
    const added = (passedMs / MS_PER_SECOND) * this.#perSecond();
    this.#tokens = Math.min(this.#limit.burst, this.#tokens + added);
    this.#atMs = nowMs;
    const calmMs = nowMs - this.#throttledAtMs;
    if (this.#rateFraction < 1 && calmMs >= RECOVERY_MS) {
      this.#rateFraction = Math.min(1, this.#rateFraction * 2);
      this.#throttledAtMs += RECOVERY_MS;
    }
  }

  #perSecond(): number {
    return this.#limit.perSecond * this.#rateFraction;
  }
}

function tooLate(api: string, deadlineMs: number): PlatformError {
  return new PlatformError(
    `${api} did not answer within ${deadlineMs} ms; repeat it, it may have taken effect`,
    { code: "timed_out", retryable: true, details: { api, deadlineMs } },
  );
}
