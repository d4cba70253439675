/**
 * Batched functions: inputs of many calls that run as one call of the user's code.
 *
 * The container takes as many inputs at once as a batch has; the code here, which runs inside it,
 * gathers them, calls the user's function with one list per argument, and gives each input its
 * element of the list that comes back.
 */
import { currentInput } from "./current-input.ts";
import { UsageError } from "./errors.ts";
import type { Batching } from "./protocol/spec.ts";
import type { WrittenSpec } from "./written-spec.ts";

/** The options of a batched function: those of any other but how many inputs run at once. */
export interface BatchedSpec extends Omit<
  WrittenSpec,
  "schedule" | "maxConcurrentInputs" | "targetConcurrentInputs"
> {
  readonly batched: Batching;
}

/** Lists, one for each argument. */
export type Lists = readonly [readonly unknown[], ...(readonly unknown[])[]];

/** What a caller passes where the code takes these lists: an element of each. */
export type ItemsOf<Given extends Lists> = {
  -readonly [Key in keyof Given]: Given[Key] extends readonly (infer Item)[] ? Item : never;
};

/** What code gives for a batch: for each input its result, or the error that it fails with. */
export type BatchResults = readonly unknown[] | Promise<readonly unknown[]>;

/** What a caller gets of a list of results: errors are thrown. */
export type ResultOf<Given extends BatchResults> = Exclude<Awaited<Given>[number], Error>;

type Code = (...lists: unknown[][]) => unknown;

interface Waiting {
  readonly args: readonly unknown[];
  readonly cameAtMs: number;
  readonly signal: AbortSignal | undefined;
  readonly resolve: (result: unknown) => void;
  readonly reject: (reason: unknown) => void;
}

/**
 * Calls the code of a batch for one input, as `local` does.
 *
 * @throws what the code threw or has in its list; TypeError when that is no list of one.
 */
export async function runAlone(code: Code, args: readonly unknown[]): Promise<unknown> {
  const [result] = await resultsOf(code, [args]);
  if (result instanceof Error) throw result;
  return result;
}

/**
 * A function of one input whose inputs run together.
 *
 * One batch runs at a time. It begins when `maxBatchSize` inputs wait, or `waitMs` after the first
 * of them came. An input that is cancelled is left out if its batch has not begun and gets no
 * answer of it otherwise; the last one of a batch is not let go before the code has ended, so that
 * code that no longer serves anybody is ended as that of any cancelled input.
 */
export function gatherer(
  code: Code,
  { maxBatchSize, waitMs }: Batching,
): (...args: unknown[]) => Promise<unknown> {
  let waiting: Waiting[] = [];
  let wake = (): void => undefined;

  const until = async (isSo: () => boolean, limitMs?: number): Promise<void> => {
    if (isSo()) return;
    const { promise, resolve } = Promise.withResolvers<undefined>();
    wake = () => {
      if (isSo()) resolve(undefined);
    };
    const timer = limitMs === undefined ? undefined : setTimeout(resolve, limitMs, undefined);
    await promise;
    clearTimeout(timer);
  };

  // A loop that began before any input: what it runs belongs to none of them, so that the end of
  // one input ends nothing that the others need.
  const work = async (): Promise<never> => {
    for (;;) {
      await until(() => waiting.length > 0);
      const waitedMs = performance.now() - (waiting[0]?.cameAtMs ?? 0);
      await until(() => waiting.length >= maxBatchSize, Math.max(0, waitMs - waitedMs));
      const batch = waiting.slice(0, maxBatchSize);
      waiting = waiting.slice(maxBatchSize);
      if (batch.length > 0) await runBatch(code, batch);
    }
  };
  void work();

  return async (...args) => {
    const signal = currentInput()?.signal;
    signal?.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers();
    const input = { args, cameAtMs: performance.now(), signal, resolve, reject };
    const leave = (): void => {
      if (!waiting.includes(input)) return;
      waiting = waiting.filter((other) => other !== input);
      reject(signal?.reason);
    };
    signal?.addEventListener("abort", leave);
    waiting.push(input);
    wake();
    try {
      return await promise;
    } finally {
      signal?.removeEventListener("abort", leave);
    }
  };
}

async function runBatch(code: Code, batch: readonly Waiting[]): Promise<void> {
  const ending = new AbortController();
  const wanted = new Set(batch);
  for (const input of batch) {
    const letGo = (): void => {
      if (wanted.size === 1 || !wanted.delete(input)) return;
      input.reject(input.signal?.reason);
    };
    input.signal?.addEventListener("abort", letGo, { signal: ending.signal });
  }
  try {
    const argumentsOf = batch.map(({ args }) => args);
    const results = await resultsOf(code, argumentsOf);
    for (const [position, { resolve, reject }] of batch.entries()) {
      const result = results[position];
      if (result instanceof Error) reject(result);
      else resolve(result);
    }
  } catch (error) {
    for (const { reject } of batch) reject(error);
  } finally {
    ending.abort();
  }
}

/** @throws what the code throws; TypeError unless it gives one result for each input. */
async function resultsOf(
  code: Code,
  inputs: readonly (readonly unknown[])[],
): Promise<readonly unknown[]> {
  const listCount = Math.max(1, ...inputs.map((args) => args.length));
  const lists = Array.from({ length: listCount }, (_, position) =>
    inputs.map((args) => args[position]),
  );
  const results = await code(...lists);
  if (!Array.isArray(results)) {
    throw new TypeError(
      `a batched function must return a list with a result for each of its ${inputs.length} ` +
        `inputs, and this one returned ${results === null ? "null" : `a value of type ${typeof results}`}`,
    );
  }
  if (results.length !== inputs.length) {
    throw new TypeError(
      `a batched function must return one result for each input: it was given ${inputs.length} ` +
        `inputs and returned ${results.length} results`,
    );
  }
  return results as readonly unknown[];
}

/**
 * Refuses options that do not go with `batched`.
 *
 * @throws UsageError naming the other one.
 */
export function checkBatched(spec: WrittenSpec): void {
  const { batched, schedule, timeoutMs = TIMEOUT_MS_DEFAULT } = spec;
  if (batched === undefined) return;
  if (spec.maxConcurrentInputs !== undefined || spec.targetConcurrentInputs !== undefined) {
    throw new UsageError(
      "batched does not go with maxConcurrentInputs and targetConcurrentInputs: a container takes " +
        "as many inputs at once as a batch has (batched.maxBatchSize)",
    );
  }
  if (schedule !== undefined) {
    throw new UsageError("a batched function has no schedule: give it to a function that calls it");
  }
  if (batched.waitMs < timeoutMs) return;
  throw new UsageError(
    `batched.waitMs (${batched.waitMs}) must be below timeoutMs (${timeoutMs}): ` +
      "waiting for a batch counts as run time",
  );
}

const TIMEOUT_MS_DEFAULT = 300_000;
