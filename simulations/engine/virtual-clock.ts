/** The clock of a run: it stands still while anything happens, and is set by the run alone. */
import type { Clock } from "../../core/index.ts";

export class VirtualClock implements Clock {
  #nowMs = 0;

  nowMs(): number {
    return this.#nowMs;
  }

  set(nowMs: number): void {
    this.#nowMs = nowMs;
  }

  /** Nothing waits for time here: only limits on calls sleep, and simulated clouds answer at once. */
  sleep(_durationMs: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted === true) resolve();
      else signal?.addEventListener("abort", () => resolve(), { once: true });
    });
  }
}
