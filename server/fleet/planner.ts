/**
 * Runs the optimizer in a worker thread, so that a solve never stops the event loop: neither the
 * server's nor that of a command, which ctrl-C must reach.
 *
 * The thread starts with the first plan and ends after a quiet while (the solver's memory goes
 * with it). A thread that overruns twice its time limit, or dies, is replaced by one that makes
 * the plan which the optimizer makes without a solver.
 */
import { Worker } from "node:worker_threads";
import { PlatformError } from "../../core/index.ts";
import type { FleetPlan, PlanInput } from "../../optimizer/index.ts";

/** A plan and how long it took to make. */
export interface TimedPlan {
  readonly plan: FleetPlan;
  readonly solveMs: number;
}

/** What the thread is asked. */
export interface PlanQuestion {
  readonly input: PlanInput;
  /** False for the plan that needs none. */
  readonly withSolvers: boolean;
}

/** What the thread answers; `refused` is an input that makes no sense. */
export type PlanAnswer =
  | { readonly kind: "plan"; readonly plan: FleetPlan }
  | { readonly kind: "refused"; readonly message: string }
  | { readonly kind: "error"; readonly message: string };

export interface PlanningOptions {
  /** Ends the planning at once; the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

const QUIET_MS = 20_000;
/** Loading a solver takes some of this; the optimizer keeps its own limit inside. */
const OVERRUN_MS = 3_000;
const DOING = "planning the fleet";

export class Planner {
  readonly #onError: (error: unknown, doing: string) => void;
  #worker: Worker | undefined;
  #quiet: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(onError: (error: unknown, doing: string) => void) {
    this.#onError = onError;
  }

  /**
   * A verified plan, whatever the solvers do. One plan at a time.
   *
   * @throws PlatformError `invalid_request` for an input that makes no sense; `unavailable` when
   *   even the plan without a solver failed, so the fleet should stay as it is.
   */
  async plan(input: PlanInput, options: PlanningOptions = {}): Promise<TimedPlan> {
    clearTimeout(this.#quiet);
    const startedMs = performance.now();
    try {
      const plan =
        (await this.#attempt({ input, withSolvers: true }, options)) ??
        (await this.#attempt({ input, withSolvers: false }, options));
      if (plan) return { plan, solveMs: Math.round(performance.now() - startedMs) };
    } finally {
      this.#quiet = setTimeout(() => void this.#stop(), QUIET_MS);
      this.#quiet.unref();
    }
    const message = "no plan could be made, with a solver or without; the fleet stays as it is";
    throw new PlatformError(message, { code: "unavailable", retryable: true });
  }

  /** Ends the thread; a plan that is being made is given up. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#stop();
  }

  async #stop(): Promise<void> {
    clearTimeout(this.#quiet);
    const worker = this.#worker;
    this.#worker = undefined;
    await worker?.terminate();
  }

  /** A plan; undefined when the thread failed, which is reported. */
  async #attempt(
    question: PlanQuestion,
    { signal }: PlanningOptions,
  ): Promise<FleetPlan | undefined> {
    try {
      const answer = await this.#ask(question, signal);
      if (answer.kind === "plan") return answer.plan;
      if (answer.kind === "error") this.#onError(new Error(answer.message), DOING);
      else throw new PlatformError(answer.message, { code: "invalid_request", retryable: false });
    } catch (error) {
      if (error instanceof PlatformError) throw error;
      // What a thread is at when it fails is unknown: the next plan gets a new one.
      void this.#stop();
      signal?.throwIfAborted();
      this.#onError(error, DOING);
    }
    return undefined;
  }

  async #ask(question: PlanQuestion, signal: AbortSignal | undefined): Promise<PlanAnswer> {
    signal?.throwIfAborted();
    if (this.#isClosed) {
      const options = { code: "unavailable", retryable: false } as const;
      throw new PlatformError("the planner is closed: nothing is planned any more", options);
    }
    const worker = (this.#worker ??= new Worker(new URL("./plan-worker.ts", import.meta.url)));
    worker.unref();
    const { promise, resolve, reject } = Promise.withResolvers<PlanAnswer>();
    const limitMs = 2 * question.input.policy.solveTimeLimitMs + OVERRUN_MS;
    const timer = setTimeout(() => {
      reject(new Error(`the optimizer did not stop within ${limitMs} ms`));
    }, limitMs);
    const fail = (cause: unknown): void => reject(new Error("the optimizer failed", { cause }));
    const ended = (): void => fail("its thread has ended");
    const abort = (): void => fail(signal?.reason);
    worker.once("message", resolve).once("error", fail).once("exit", ended);
    signal?.addEventListener("abort", abort);
    worker.postMessage(question);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      worker.off("message", resolve).off("error", fail).off("exit", ended);
      signal?.removeEventListener("abort", abort);
    }
  }
}
