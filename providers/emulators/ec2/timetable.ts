/** What is to happen later on the emulator's clock, until it closes. */
import type { Clock } from "../../../core/index.ts";

export class Timetable {
  readonly #clock: Clock;
  readonly #closing = new AbortController();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Does `act` after a while; what is due at one instant happens in the order it was planned. */
  after(durationMs: number, act: () => void): void {
    void this.#clock.sleep(durationMs, this.#closing.signal).then(() => {
      if (!this.#closing.signal.aborted) act();
    });
  }

  /** What has not happened by now never will. */
  close(): void {
    this.#closing.abort();
  }
}
