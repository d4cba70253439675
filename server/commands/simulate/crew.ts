/**
 * Worker threads that fly runs: one run at a time in each, the next one when it is done. A thread
 * keeps the world of its last run, so runs of one spec read its files once a thread.
 */
import { Worker } from "node:worker_threads";
import { PlatformError, type ErrorCode } from "../../../core/index.ts";
import type {
  FlightOrder,
  RunSpec,
  SimulationProgress,
  SimulationResult,
} from "../../../simulations/index.ts";

/** A run that a thread can be told of. */
export interface CrewTask {
  readonly spec: RunSpec;
  readonly order: Omit<FlightOrder, "signal" | "onProgress" | "from" | "checkpoint">;
  /** Where the run writes down how far it is, and goes on from when it is flown again. */
  readonly checkpointFile?: string;
}

/** What a thread says. */
export type CrewMessage =
  | { readonly kind: "progress"; readonly progress: SimulationProgress }
  | { readonly kind: "result"; readonly result: SimulationResult }
  | { readonly kind: "refused"; readonly code: ErrorCode; readonly message: string }
  | { readonly kind: "failed"; readonly message: string };

/** What is told of the runs as they go. */
export interface CrewEvents<Task extends CrewTask> {
  readonly onStart?: (task: Task) => void;
  readonly onProgress?: (task: Task, progress: SimulationProgress) => void;
  /** The thread takes its next run when this is done. */
  readonly onResult?: (task: Task, result: SimulationResult) => Promise<void>;
}

export class Crew {
  readonly #threadCount: number;
  readonly #signal: AbortSignal | undefined;
  readonly #idle: Worker[] = [];
  readonly #all = new Set<Worker>();

  /** @param threadCount At least 1; a thread starts with the first run that it is needed for. */
  constructor(threadCount: number, signal?: AbortSignal) {
    this.#threadCount = threadCount;
    this.#signal = signal;
  }

  /**
   * Flies all tasks; results are in their order, whichever is done first. The first failure ends
   * the others.
   *
   * @throws PlatformError for a run that was refused; the signal's reason when it is aborted.
   */
  async fly<Task extends CrewTask>(
    tasks: readonly Task[],
    events: CrewEvents<Task> = {},
  ): Promise<readonly SimulationResult[]> {
    const results: SimulationResult[] = [];
    const queue = [...tasks.entries()];
    const work = async (): Promise<void> => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        const [index, task] = next;
        events.onStart?.(task);
        const result = await this.#flyOne(task, events);
        results[index] = result;
        await events.onResult?.(task, result);
      }
    };
    const threads = Math.min(this.#threadCount, tasks.length);
    try {
      await Promise.all(Array.from({ length: threads }, work));
    } catch (error) {
      queue.length = 0;
      await this.close();
      throw error;
    }
    return results;
  }

  /** Ends all threads; a run that is under way is given up. */
  async close(): Promise<void> {
    const all = [...this.#all];
    this.#all.clear();
    this.#idle.length = 0;
    await Promise.all(all.map((worker) => worker.terminate()));
  }

  async #flyOne<Task extends CrewTask>(
    task: Task,
    events: CrewEvents<Task>,
  ): Promise<SimulationResult> {
    this.#signal?.throwIfAborted();
    const worker = this.#idle.pop() ?? this.#startThread();
    const { promise, resolve, reject } = Promise.withResolvers<SimulationResult>();
    const onMessage = (message: CrewMessage): void => {
      if (message.kind === "progress") events.onProgress?.(task, message.progress);
      else if (message.kind === "result") resolve(message.result);
      else reject(errorOf(message, task));
    };
    const onExit = (): void => reject(new Error(`the thread of ${nameOf(task)} has ended`));
    const onAbort = (): void => reject(this.#signal?.reason as Error);
    worker.on("message", onMessage).once("error", reject).once("exit", onExit);
    this.#signal?.addEventListener("abort", onAbort);
    const { spec, order, checkpointFile } = task;
    worker.postMessage({
      spec,
      order,
      ...(checkpointFile === undefined ? {} : { checkpointFile }),
    });
    try {
      const result = await promise;
      this.#idle.push(worker);
      return result;
    } finally {
      worker.off("message", onMessage).off("error", reject).off("exit", onExit);
      this.#signal?.removeEventListener("abort", onAbort);
    }
  }

  #startThread(): Worker {
    const worker = new Worker(new URL("./flight-worker.ts", import.meta.url));
    this.#all.add(worker);
    return worker;
  }
}

function errorOf(
  message: Extract<CrewMessage, { readonly kind: "refused" | "failed" }>,
  task: CrewTask,
): Error {
  if (message.kind === "refused") {
    return new PlatformError(message.message, { code: message.code, retryable: false });
  }
  return new Error(`${nameOf(task)} failed: ${message.message}`);
}

function nameOf({ order }: CrewTask): string {
  return `${order.policyName} with seed ${order.seed}`;
}
