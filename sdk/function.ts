import { updateAutoscaler, type UpdateOptions } from "./autoscaler.ts";
import { newCallId } from "./call-id.ts";
import { callHeaderOf, checkCallOptions, signalOf, type CallOptions } from "./call-options.ts";
import type { CallTarget } from "./call-target.ts";
import { cancelInPassing, type ResultsPage } from "./client/client.ts";
import { FunctionCall } from "./function-call.ts";
import { mapInputs, type MapOptions, type MapRequest } from "./map.ts";
import { WAIT_MS_MAX, type FunctionScaling, type ScalingUpdate } from "./protocol/api.ts";
import { UsageError } from "./errors.ts";
import type { FunctionOptions } from "./protocol/spec.ts";
import { waitForValue } from "./results.ts";
import { streamValues, type Returned, type Yielded } from "./stream.ts";
import type { WrittenSpec } from "./written-spec.ts";

/** What `map` takes for each input: the function's only argument, or the first of optional ones. */
export type MapItem<Args extends readonly unknown[]> = Args extends readonly [
  (infer Item)?,
  ...infer Rest,
]
  ? [] extends Rest
    ? Item
    : never
  : never;

/** Asks for errors in place of results. */
export type WithExceptions = MapOptions & { readonly returnExceptions: true };

type Results<Result> = AsyncGenerator<Awaited<Result>, void, undefined>;
type ResultsOrErrors<Result> = AsyncGenerator<Awaited<Result> | Error, void, undefined>;

/**
 * A function that runs in containers on the platform.
 *
 * `Args` and `Result` are those of the user's function, so calls are checked as local ones are.
 */
export class RemoteFunction<Args extends unknown[] = unknown[], Result = unknown> {
  readonly #target: CallTarget;
  readonly #call: CallOptions;

  /** Functions come from `app.function` and `App.lookup`. */
  constructor(target: CallTarget, call: CallOptions = {}) {
    this.#target = target;
    this.#call = call;
  }

  /** The name under which it is deployed. @throws UsageError when nothing names it. */
  get functionName(): string {
    const { name, method } = this.#target;
    return method === undefined ? name : `${name}.${method}`;
  }

  /**
   * The same function with other options, such as another GPU, in containers of its own.
   *
   * @example
   * await train.withOptions({ gpu: "H100:8", timeoutMs: 3_600_000 }).remote(data);
   * @throws UsageError naming the option that is wrong; for a method, whose class has options.
   */
  withOptions(options: FunctionOptions): RemoteFunction<Args, Result> {
    if (this.#target.method !== undefined) {
      throw new UsageError(
        `${this.functionName} is a method: its class has options, Class.withOptions(...)`,
      );
    }
    return new RemoteFunction(this.#target.withOptions(options));
  }

  /**
   * The same function, called with a signal, a deadline or an idempotency key.
   *
   * @example
   * await square.with({ signal, deadlineMs: 10_000 }).remote(7);
   * @throws UsageError naming the option that is wrong.
   */
  with(options: CallOptions): RemoteFunction<Args, Result> {
    checkCallOptions(options);
    return new RemoteFunction(this.#target, { ...this.#call, ...options });
  }

  /**
   * Changes how the function scales, at once and without a new version, until its app is deployed
   * again. What is left out stays as it is. What `withOptions` gave has containers of its own, which follow
   * the function in what they have in common; of a method it is the instance that is meant.
   *
   * @example
   * await square.updateAutoscaler({ minContainers: 2, scaledownWindowMs: 300_000 });
   * @returns The scaling that is in force now, and what of it was updated.
   * @throws UsageError naming the field; NotFoundError when it runs no more.
   */
  updateAutoscaler(update: ScalingUpdate, options: UpdateOptions = {}): Promise<FunctionScaling> {
    return updateAutoscaler(this.#target, update, options);
  }

  /**
   * Calls the function and waits for its result, however long it takes.
   *
   * @throws the error the function threw (`RemoteError`), CallError when the platform ended
   *   it, SerializationError before anything is sent when an argument cannot be.
   */
  async remote(...args: Args): Promise<Awaited<Result>> {
    const signal = signalOf(this.#call);
    const page = await this.#start(args, WAIT_MS_MAX, signal);
    const { client } = this.#target;
    const { callId } = page.status;
    try {
      const waiting = { client, callId, firstPage: page, signal };
      return (await waitForValue(waiting)) as Awaited<Result>;
    } catch (error) {
      if (signal?.aborted === true) await cancelInPassing(client, callId);
      throw error;
    }
  }

  /**
   * Calls the function once for each item and yields the results as they come.
   *
   * Items are read only as far ahead as `concurrency` allows, so endless sources are fine.
   * The first failure is thrown and cancels the rest, and so does leaving the loop early; with
   * `returnExceptions` failures are yielded in place of results.
   *
   * @example
   * for await (const result of square.map([1, 2, 3])) console.log(result);
   */
  map(
    items: Iterable<MapItem<Args>> | AsyncIterable<MapItem<Args>>,
    options: WithExceptions,
  ): ResultsOrErrors<Result>;
  map(
    items: Iterable<MapItem<Args>> | AsyncIterable<MapItem<Args>>,
    options?: MapOptions,
  ): Results<Result>;
  map(
    items: Iterable<MapItem<Args>> | AsyncIterable<MapItem<Args>>,
    options: MapOptions = {},
  ): Results<Result> {
    return this.#map(items, { ...options, spread: false });
  }

  /**
   * As `map`, of lists of arguments.
   *
   * @example
   * for await (const sum of add.starmap([[1, 2], [3, 4]])) console.log(sum);
   */
  starmap(
    items: Iterable<Readonly<Args>> | AsyncIterable<Readonly<Args>>,
    options: WithExceptions,
  ): ResultsOrErrors<Result>;
  starmap(
    items: Iterable<Readonly<Args>> | AsyncIterable<Readonly<Args>>,
    options?: MapOptions,
  ): Results<Result>;
  starmap(
    items: Iterable<Readonly<Args>> | AsyncIterable<Readonly<Args>>,
    options: MapOptions = {},
  ): Results<Result> {
    return this.#map(items, { ...options, spread: true });
  }

  /** Calls the function once for each item, in any order, and waits for all of them. */
  async forEach(
    items: Iterable<MapItem<Args>> | AsyncIterable<MapItem<Args>>,
    options: Pick<MapOptions, "concurrency" | "returnExceptions"> = {},
  ): Promise<void> {
    const results = this.#map(items, { ...options, ordered: false, spread: false });
    for (let step = await results.next(); step.done !== true;) step = await results.next();
  }

  /** Starts a call and does not wait for it; resolves once the platform has accepted it. */
  async spawn(...args: Args): Promise<FunctionCall<Awaited<Result>>> {
    const page = await this.#start(args, 0, this.#call.signal);
    return FunctionCall.fromId(page.status.callId, { client: this.#target.client });
  }

  /**
   * Calls a generator function and yields its values as they come, in order, each once.
   *
   * The generator runs at most 32 values ahead of the reader. Leaving the loop, or `return()`,
   * ends it on the platform, `finally` blocks included. When its container is lost it runs again
   * from its beginning, and as many values as were given already are skipped.
   *
   * @example
   * for await (const token of generate.remoteGen(prompt)) process.stdout.write(token);
   */
  remoteGen(...args: Args): AsyncGenerator<Yielded<Result>, Returned<Result>, undefined> {
    return streamValues(this.#target, args, this.#call) as AsyncGenerator<
      Yielded<Result>,
      Returned<Result>,
      undefined
    >;
  }

  async #start(args: Args, waitMs: number, signal: AbortSignal | undefined): Promise<ResultsPage> {
    signal?.throwIfAborted();
    const payload = await this.#target.encode(args, { signal });
    const callId = newCallId();
    const header = {
      callId,
      kind: "single",
      sizes: [payload.byteLength],
      final: true,
      waitMs,
      ...callHeaderOf(this.#call),
    } as const;
    try {
      return await this.#target.createCall(header, [payload], signal);
    } catch (error) {
      // It may have been accepted all the same; under a key it may be another's too.
      const isOwn = signal?.aborted === true && header.idempotencyKey === undefined;
      if (isOwn) await cancelInPassing(this.#target.client, callId);
      throw error;
    }
  }

  #map(
    items: Iterable<unknown> | AsyncIterable<unknown>,
    options: Omit<MapRequest, "call">,
  ): Results<Result> {
    return mapInputs(this.#target, items, { ...options, call: this.#call }) as Results<Result>;
  }
}

/** A function defined in this process: what a `RemoteFunction` does, and `local`. */
export class AppFunction<
  Args extends unknown[] = unknown[],
  Result = unknown,
> extends RemoteFunction<Args, Result> {
  /** What the function asked for, as it was written. */
  readonly spec: WrittenSpec;
  readonly #handler: (...args: Args) => Result;

  /** Made by `app.function`. */
  constructor(target: CallTarget, spec: WrittenSpec, handler: (...args: Args) => Result) {
    super(target);
    this.spec = spec;
    this.#handler = handler;
  }

  /** Runs the function here, in this process, as if it were called directly. */
  local(...args: Args): Result {
    return this.#handler(...args);
  }
}
