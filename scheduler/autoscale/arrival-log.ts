/**
 * When inputs of one function came: by the second for the last minute, and its awakenings.
 *
 * An awakening is an arrival after a silence of at least the scale-down window, so one that
 * finds no warm container unless somebody expected it. Memory is bounded: 60 counts and the
 * last 24 awakenings.
 */

/** An arrival after a silence, and the inputs that came with it. */
export interface Awakening {
  readonly atMs: number;
  /** Inputs of the first seconds, itself included. */
  readonly inputs: number;
}

/** What an `ArrivalLog` knows, as plain data. */
export interface ArrivalHistory {
  /**
   * Inputs of each of the last `LONG_WINDOW_S` seconds, oldest first; the last entry is the
   * second that has just begun.
   */
  readonly perSecond: readonly number[];
  /** When the latest input came; absent while none has. */
  readonly lastAtMs?: number;
  /** Oldest first, at most `AWAKENINGS_MAX`. */
  readonly awakenings: readonly Awakening[];
}

/** Seconds that the counts cover. */
export const LONG_WINDOW_S = 60;
const AWAKENINGS_MAX = 24;
/** Inputs that come this soon after an awakening belong to it. */
const AWAKENING_MS = 2_000;
const MS_PER_BUCKET = 1_000;

/** A history that was written down earlier; its counts may lack zeros in front. */
export interface EarlierArrivals {
  /** When it was asked for. */
  readonly atMs: number;
  readonly history: ArrivalHistory;
}

/** Collects arrivals; time comes with each call and should not go back. */
export class ArrivalLog {
  readonly #counts = new Array<number>(LONG_WINDOW_S).fill(0);
  #awakenings: Awakening[] = [];
  /** The second, counted from 1970, that the newest count is of. */
  #newestSecond = 0;
  #lastAtMs: number | undefined;

  /** @param before What another log knew; this one goes on from there. */
  constructor(before?: EarlierArrivals) {
    if (before === undefined) return;
    const { atMs, history } = before;
    const { perSecond, awakenings, lastAtMs } = history;
    this.#newestSecond = Math.floor(atMs / MS_PER_BUCKET);
    for (const [position, inputs] of perSecond.slice(-LONG_WINDOW_S).entries()) {
      const second = this.#newestSecond + 1 + position - Math.min(LONG_WINDOW_S, perSecond.length);
      this.#counts[second % LONG_WINDOW_S] = inputs;
    }
    this.#awakenings = awakenings.slice(-AWAKENINGS_MAX);
    this.#lastAtMs = lastAtMs;
  }

  /** Adds `inputs` that came now. O(1) amortised. */
  note(inputs: number, nowMs: number, scaledownWindowMs: number): void {
    if (inputs <= 0) return;
    this.#advance(nowMs);
    const slot = this.#newestSecond % LONG_WINDOW_S;
    this.#counts[slot] = (this.#counts[slot] ?? 0) + inputs;
    const silentMs = this.#lastAtMs === undefined ? Infinity : nowMs - this.#lastAtMs;
    const newest = this.#awakenings.at(-1);
    if (silentMs >= scaledownWindowMs) {
      this.#awakenings = [...this.#awakenings.slice(1 - AWAKENINGS_MAX), { atMs: nowMs, inputs }];
    } else if (newest !== undefined && nowMs - newest.atMs < AWAKENING_MS) {
      const grown = { atMs: newest.atMs, inputs: newest.inputs + inputs };
      this.#awakenings[this.#awakenings.length - 1] = grown;
    }
    this.#lastAtMs = Math.max(nowMs, this.#lastAtMs ?? nowMs);
  }

  /** What is known at `nowMs`. O(`LONG_WINDOW_S`). */
  history(nowMs: number): ArrivalHistory {
    this.#advance(nowMs);
    const perSecond = Array.from({ length: LONG_WINDOW_S }, (_, position) => {
      return this.#counts[(this.#newestSecond + 1 + position) % LONG_WINDOW_S] ?? 0;
    });
    return {
      perSecond,
      awakenings: [...this.#awakenings],
      ...(this.#lastAtMs === undefined ? {} : { lastAtMs: this.#lastAtMs }),
    };
  }

  #advance(nowMs: number): void {
    const second = Math.floor(nowMs / MS_PER_BUCKET);
    const passed = Math.min(LONG_WINDOW_S, second - this.#newestSecond);
    for (let step = 1; step <= passed; step += 1) {
      this.#counts[(second - passed + step) % LONG_WINDOW_S] = 0;
    }
    this.#newestSecond = Math.max(second, this.#newestSecond);
  }
}
