/** Asks the metadata service now and then whether the machine is taken back, or likely to be. */
import type { Clock } from "../../core/index.ts";
import type { CloudMetadata } from "./cloud-metadata.ts";

export interface InterruptionWatchOptions {
  readonly metadata: CloudMetadata;
  readonly clock: Clock;
  /** Called whenever a notice is seen, with the time of the end by this machine's clock. */
  readonly onNotice: (deadlineMs: number) => void;
  /** Called once, with the time since when the machine has been likely to be taken back. */
  readonly onRisk: (sinceMs: number) => void;
  readonly onError: (error: unknown, doing: string) => void;
}

/** Source: EC2 user guide, "check for interruption notices every 5 seconds" (read 2026-11). */
const WATCH_EVERY_MS = 5_000;
/** A service that fails is complained of once in so many questions. */
const COMPLAIN_EVERY = 60;

/** A watch that runs until it is closed. */
export class InterruptionWatch {
  readonly #options: InterruptionWatchOptions;
  readonly #closing = new AbortController();
  #failures = 0;
  #isAtRisk = false;

  constructor(options: InterruptionWatchOptions) {
    this.#options = options;
  }

  /** Resolves when it is closed. */
  async run(): Promise<void> {
    const { clock } = this.#options;
    while (!this.#closing.signal.aborted) {
      await this.#look();
      await clock.sleep(WATCH_EVERY_MS, this.#closing.signal);
    }
  }

  close(): void {
    this.#closing.abort();
  }

  async #look(): Promise<void> {
    const { metadata, onNotice, onRisk, onError } = this.#options;
    try {
      const deadlineMs = await metadata.interruption();
      if (deadlineMs !== undefined) onNotice(deadlineMs);
      const riskSinceMs = this.#isAtRisk ? undefined : await metadata.riskSince();
      this.#failures = 0;
      if (riskSinceMs === undefined) return;
      this.#isAtRisk = true;
      onRisk(riskSinceMs);
    } catch (error) {
      if (this.#failures % COMPLAIN_EVERY === 0) onError(error, "looking for interruptions");
      this.#failures += 1;
    }
  }
}
