/**
 * A step that runs again and again: at once when kicked, otherwise after a pause.
 *
 * Never twice at a time; kicks that come during a run lead to one more run. A step that throws
 * is reported and the round goes on.
 */
import type { Clock } from "../../core/index.ts";

export interface RoundOptions {
  readonly clock: Clock;
  readonly doing: string;
  readonly step: () => Promise<void> | void;
  /** Pause between runs when nobody kicks. */
  readonly everyMs: number;
  readonly onError: (error: unknown, doing: string) => void;
}

/** Why a pause ended; a reason of its own spares the making of an error at every kick. */
const KICKED = "kicked";

export class Round {
  readonly #options: RoundOptions;
  readonly #closing = new AbortController();
  #pause = new AbortController();
  #kicked = false;
  #running: Promise<void> | undefined;

  constructor(options: RoundOptions) {
    this.#options = options;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Look at once. Many kicks in one turn of the event loop are one. */
  kick(): void {
    if (this.#kicked) return;
    this.#kicked = true;
    setImmediate(() => {
      this.#kicked = false;
      this.#pause.abort(KICKED);
    });
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { clock, doing, step, everyMs, onError } = this.#options;
    while (!this.#closing.signal.aborted) {
      this.#pause = new AbortController();
      try {
        await step();
      } catch (error) {
        onError(error, doing);
      }
      await clock.sleep(everyMs, AbortSignal.any([this.#closing.signal, this.#pause.signal]));
    }
  }
}
