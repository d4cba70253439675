/** The machine's own time, which here never runs backwards. */
import type { Clock } from "../core/index.ts";
import { steadyTime } from "./steady-time.ts";

export const systemClock: Clock = {
  nowMs: steadyTime({ wallMs: () => Date.now(), monotonicMs: () => performance.now() }),
  sleep: (durationMs, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted === true) {
        resolve();
        return;
      }
      const done = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, durationMs);
      signal?.addEventListener("abort", done, { once: true });
    }),
};
