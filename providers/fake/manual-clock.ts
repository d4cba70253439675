/**
 * A clock that moves only when it is told to: for tests and for simulated providers.
 *
 * Sleepers wake in the order of their deadlines, ties in the order they began to sleep.
 */
import { assert, type Clock } from "../../core/index.ts";

/** A `Clock` under the test's control. */
export interface ManualClock extends Clock {
  /**
   * Moves time on by `durationMs`, waking sleepers one by one at their own instants; what a
   * woken sleeper does in its next promise steps happens before the next one wakes.
   */
  advance(durationMs: number): Promise<void>;
}

interface Sleeper {
  readonly wakeAtMs: number;
  readonly wake: () => void;
}

/** Promise steps a woken sleeper may take before time moves on. */
const STEPS_PER_WAKE = 16;

/** A clock that stands at `startMs`. */
export function createManualClock(startMs = 0): ManualClock {
  const sleepers = new Set<Sleeper>();
  let now = startMs;
  return {
    nowMs: () => now,
    sleep: (durationMs, signal) =>
      new Promise((resolve) => {
        if (durationMs <= 0 || signal?.aborted === true) {
          resolve();
          return;
        }
        const wake = (): void => {
          sleepers.delete(sleeper);
          signal?.removeEventListener("abort", wake);
          resolve();
        };
        const sleeper: Sleeper = { wakeAtMs: now + durationMs, wake };
        sleepers.add(sleeper);
        signal?.addEventListener("abort", wake, { once: true });
      }),
    advance: async (durationMs) => {
      assert(durationMs >= 0, `time does not run backwards: ${durationMs} ms`);
      const untilMs = now + durationMs;
      await settle();
      for (let next = earliest(sleepers); next !== undefined; next = earliest(sleepers)) {
        if (next.wakeAtMs > untilMs) break;
        now = Math.max(now, next.wakeAtMs);
        next.wake();
        await settle();
      }
      now = untilMs;
    },
  };
}

function earliest(sleepers: ReadonlySet<Sleeper>): Sleeper | undefined {
  let first: Sleeper | undefined;
  for (const sleeper of sleepers) {
    if (first === undefined || sleeper.wakeAtMs < first.wakeAtMs) first = sleeper;
  }
  return first;
}

async function settle(): Promise<void> {
  for (let step = 0; step < STEPS_PER_WAKE; step += 1) await Promise.resolve();
}
