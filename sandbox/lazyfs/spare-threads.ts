/**
 * Threads that have booted and wait for an image: booting one takes longer than all else that a
 * mount needs.
 */
import { Worker } from "node:worker_threads";
import type { AnswerLoopData, WarmerData } from "./answer-loop.ts";

/** What a thread is told first: what it is for from then on. */
export type ThreadTask =
  ({ readonly task: "answer" } & AnswerLoopData) | ({ readonly task: "warm" } & WarmerData);

export class SpareThreads {
  readonly #workerUrl: URL;
  readonly #countMax: number;
  readonly #spare: Worker[] = [];

  /**
   * @param workerUrl The module whose threads take a `ThreadTask`.
   * @param countMax Threads that are kept ready.
   */
  constructor(workerUrl: URL, countMax: number) {
    this.#workerUrl = workerUrl;
    this.#countMax = countMax;
  }

  /** Boots what is missing, in its own time. */
  fill(): void {
    while (this.#spare.length < this.#countMax) this.#spare.push(this.#boot());
  }

  /** A thread that does this from now on; one that has booted, if there is one. */
  give(task: ThreadTask): Worker {
    const thread = this.#spare.shift() ?? this.#boot();
    thread.removeAllListeners();
    thread.postMessage(task);
    return thread;
  }

  #boot(): Worker {
    const thread = new Worker(this.#workerUrl);
    // One that ends before it is given anything is no spare.
    const lost = (): void => {
      const position = this.#spare.indexOf(thread);
      if (position >= 0) this.#spare.splice(position, 1);
    };
    return thread.once("error", lost).once("exit", lost);
  }
}
