/** Time that moves only when a test moves it; who sleeps wakes in the next turn. */
import type { Clock } from "../../core/index.ts";

export class FakeClock implements Clock {
  now = 1_000;

  nowMs(): number {
    return this.now;
  }

  sleep(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve));
  }
}

/** Time that a test moves on; who sleeps wakes when theirs has come, or is told to stop. */
export class ManualClock implements Clock {
  #now = 1_000;
  readonly #sleepers = new Set<{ readonly atMs: number; readonly wake: () => void }>();

  nowMs(): number {
    return this.#now;
  }

  sleep(durationMs: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const sleeper = { atMs: this.#now + durationMs, wake: () => done() };
      const done = (): void => {
        this.#sleepers.delete(sleeper);
        resolve();
      };
      this.#sleepers.add(sleeper);
      signal?.addEventListener("abort", done);
      if (signal?.aborted === true) done();
    });
  }

  advance(durationMs: number): void {
    this.#now += durationMs;
    for (const sleeper of this.#sleepers) if (sleeper.atMs <= this.#now) sleeper.wake();
  }
}

/** Turns of the event loop after which something that was to happen will not. */
const TURNS_MAX = 5_000_000;

/** Lets the event loop turn until `isSo`. @throws Error when it never comes to be */
export async function until(isSo: () => boolean, what: string): Promise<void> {
  for (let turn = 0; turn < TURNS_MAX; turn += 1) {
    if (isSo()) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
  throw new Error(`it never came to be: ${what}`);
}

/** Lets all that was written to streams arrive. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}
