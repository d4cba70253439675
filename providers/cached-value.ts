/**
 * A value that is loaded from afar now and then and kept when that fails.
 *
 * Whoever asks gets what is known at once; only the first one waits. A reload runs beside it, one
 * at a time, when the value is older than `ttlMs`, and not again before `retryMs` when it failed.
 * A value older than `keepMs` is not given any more.
 */
import type { Clock } from "../core/index.ts";

export interface CachedValueOptions<T> {
  readonly clock: Clock;
  readonly load: () => Promise<T>;
  readonly ttlMs: number;
  readonly keepMs: number;
  readonly retryMs: number;
}

/** A value and when it was loaded. */
export interface Dated<T> {
  readonly value: T;
  readonly atMs: number;
}

export class CachedValue<T> {
  readonly #options: CachedValueOptions<T>;
  #known: Dated<T> | undefined;
  #triedAtMs = -Infinity;
  #loading: Promise<void> | undefined;

  constructor(options: CachedValueOptions<T>) {
    this.#options = options;
  }

  /** The value as far as it is known; undefined when it never was, or is too old. */
  async get(): Promise<Dated<T> | undefined> {
    const { clock, keepMs } = this.#options;
    const isFirst = this.#triedAtMs === -Infinity || this.#known === undefined;
    this.#reload();
    if (isFirst) await this.#loading;
    if (this.#known === undefined) return undefined;
    return clock.nowMs() - this.#known.atMs <= keepMs ? this.#known : undefined;
  }

  /** Resolves when no reload is under way. */
  async settled(): Promise<void> {
    await this.#loading;
  }

  #reload(): void {
    const { clock, load, ttlMs, retryMs } = this.#options;
    const nowMs = clock.nowMs();
    if (this.#loading !== undefined) return;
    if (this.#known !== undefined && nowMs - this.#known.atMs < ttlMs) return;
    if (nowMs - this.#triedAtMs < retryMs) return;
    this.#triedAtMs = nowMs;
    this.#loading = load()
      .then(
        (value) => {
          this.#known = { value, atMs: nowMs };
        },
        // The last value stays; whoever asks sees its date.
        () => undefined,
      )
      .finally(() => {
        this.#loading = undefined;
      });
  }
}
