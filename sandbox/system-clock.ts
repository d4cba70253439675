/** The clock of a process of this room. */
import type { Clock } from "../core/index.ts";

/** Time as the machine has it; sleepers wake early when they are told to stop. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  sleep: (durationMs, signal) =>
    new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, durationMs);
      signal?.addEventListener("abort", done);
      if (signal?.aborted === true) done();
    }),
};
