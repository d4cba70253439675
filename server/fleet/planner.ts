/**
 * Runs the optimizer in a worker thread, so that a solve never stops the server's event loop.
 *
 * The thread starts with the first plan and ends after a quiet while (the solver's memory goes
 * with it). A thread that overruns twice its time limit is terminated and the plan falls back
 * to what the optimizer does without a solver.
 */
import { Worker } from "node:worker_threads";
import { messageOf } from "../../core/index.ts";
import { planFleet, type FleetPlan, type PlanInput } from "../../optimizer/index.ts";

/** A plan and how long it took to make. */
export interface TimedPlan {
  readonly plan: FleetPlan;
  readonly solveMs: number;
}

/** What the thread answers. */
export type PlanAnswer =
  | { readonly kind: "plan"; readonly plan: FleetPlan }
  | { readonly kind: "error"; readonly message: string };

const QUIET_MS = 20_000;
/** Loading a solver takes some of this; the optimizer keeps its own limit inside. */
const OVERRUN_MS = 3_000;

export class Planner {
  readonly #onError: (error: unknown, doing: string) => void;
  #worker: Worker | undefined;
  #quiet: NodeJS.Timeout | undefined;

  constructor(onError: (error: unknown, doing: string) => void) {
    this.#onError = onError;
  }

  /** A verified plan; never rejects for a solver's sake. One plan at a time. */
  async plan(input: PlanInput): Promise<TimedPlan> {
    clearTimeout(this.#quiet);
    const startedMs = performance.now();
    try {
      const answer = await this.#ask(input);
      if (answer.kind === "plan") return timed(answer.plan, startedMs);
      this.#onError(new Error(answer.message), "planning the fleet");
    } catch (error) {
      this.#onError(error, "planning the fleet");
      await this.close();
    } finally {
      this.#quiet = setTimeout(() => void this.close(), QUIET_MS);
      this.#quiet.unref();
    }
    return timed(await planFleet(input, {}), startedMs);
  }

  async close(): Promise<void> {
    clearTimeout(this.#quiet);
    const worker = this.#worker;
    this.#worker = undefined;
    await worker?.terminate();
  }

  async #ask(input: PlanInput): Promise<PlanAnswer> {
    const worker = (this.#worker ??= new Worker(new URL("./plan-worker.ts", import.meta.url)));
    worker.unref();
    const { promise, resolve, reject } = Promise.withResolvers<PlanAnswer>();
    const limitMs = 2 * input.policy.solveTimeLimitMs + OVERRUN_MS;
    const timer = setTimeout(() => {
      reject(new Error(`the solver did not stop within ${limitMs} ms`));
    }, limitMs);
    const fail = (error: Error): void => reject(new Error(messageOf(error), { cause: error }));
    worker.once("message", resolve);
    worker.once("error", fail);
    worker.postMessage(input);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      worker.off("message", resolve);
      worker.off("error", fail);
    }
  }
}

function timed(plan: FleetPlan, startedMs: number): TimedPlan {
  return { plan, solveMs: Math.round(performance.now() - startedMs) };
}
