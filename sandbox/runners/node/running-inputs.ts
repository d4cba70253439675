/**
 * The inputs that run now: which of them the present code belongs to, and how the time of the
 * process is shared among them.
 *
 * When several run at once an asynchronous context follows each, so that a line, an error or an
 * exit is laid to the one that caused it. The share of an input is its part of the time in
 * which anything ran: of `n` that run at once each gets a `1/n`, so shares add up to that time.
 */
import { AsyncLocalStorage } from "node:async_hooks";

/** One input while it runs. */
export interface RunningInput {
  readonly inputId: string;
  readonly beganAtMs: number;
  readonly sharedBeforeMs: number;
  /** Ends it with an error that nobody in the user's code handled. */
  fail: ((thrown: unknown) => void) | undefined;
  /** Aborts when its result is wanted no more; made when somebody asks. */
  readonly signal: AbortSignal;
  abort(reason: unknown): void;
}

export class RunningInputs {
  readonly #nowMs: () => number;
  #max = 1;
  #context: AsyncLocalStorage<RunningInput> | undefined;
  readonly #running = new Set<RunningInput>();
  #sharedMs = 0;
  #countedAtMs = 0;

  /** @param nowMs Any clock that does not go back. */
  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
  }

  /** How many may run at once; 1 at first. */
  get max(): number {
    return this.#max;
  }

  /** To be set before the first input runs. */
  set max(max: number) {
    this.#max = max;
    this.#context = max > 1 ? new AsyncLocalStorage() : undefined;
  }

  get hasRoom(): boolean {
    return this.#running.size < this.#max;
  }

  /** The input whose code runs at this moment; undefined when it is nobody's, or of one ended. */
  get present(): RunningInput | undefined {
    if (this.#context === undefined) return this.#running.values().next().value;
    const owner = this.#context.getStore();
    return owner !== undefined && this.#running.has(owner) ? owner : undefined;
  }

  /** Runs `body` as the code of an input. */
  async run(inputId: string, body: (input: RunningInput) => Promise<void>): Promise<void> {
    const beganAtMs = this.#count();
    const input = runningInput(inputId, beganAtMs, this.#sharedMs);
    this.#running.add(input);
    try {
      await (this.#context === undefined ? body(input) : this.#context.run(input, body, input));
    } finally {
      this.#count();
      this.#running.delete(input);
    }
  }

  /** Tells those of these inputs that run, or all, that they are wanted no more. */
  abort(reason: unknown, inputIds?: ReadonlySet<string>): void {
    for (const input of this.#running) {
      if (inputIds?.has(input.inputId) ?? true) input.abort(reason);
    }
  }

  /** Times of an input so far: how long it has run, and its share when others ran with it. */
  timesOf(input: RunningInput): { readonly runMs: number; readonly busyMs?: number } {
    const runMs = this.#count() - input.beganAtMs;
    return this.#max === 1 ? { runMs } : { runMs, busyMs: this.#sharedMs - input.sharedBeforeMs };
  }

  #count(): number {
    const nowMs = this.#nowMs();
    const count = this.#running.size;
    if (count > 0) this.#sharedMs += (nowMs - this.#countedAtMs) / count;
    this.#countedAtMs = nowMs;
    return nowMs;
  }
}

function runningInput(inputId: string, beganAtMs: number, sharedBeforeMs: number): RunningInput {
  // Few inputs ask for their signal, and a controller costs as much as a short input.
  let controller: AbortController | undefined;
  let aborted: { readonly reason: unknown } | undefined;
  return {
    inputId,
    beganAtMs,
    sharedBeforeMs,
    fail: undefined,
    get signal() {
      controller ??= new AbortController();
      if (aborted !== undefined) controller.abort(aborted.reason);
      return controller.signal;
    },
    abort(reason) {
      aborted ??= { reason };
      controller?.abort(reason);
    },
  };
}
