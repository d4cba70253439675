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
