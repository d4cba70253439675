import { newCallId } from "./call-id.ts";
import type { CallTarget } from "./call-target.ts";
import { FunctionCall } from "./function-call.ts";
import { mapInputs, type MapOptions } from "./map.ts";
import { WAIT_MS_MAX } from "./protocol/api.ts";
import { UsageError } from "./errors.ts";
import type { FunctionOptions, FunctionSpec } from "./protocol/spec.ts";
import { waitForValue } from "./results.ts";

/** What `map` takes for each input: the function's only argument, or the first of optional ones. */
export type MapItem<Args extends readonly unknown[]> = Args extends readonly [
  (infer Item)?,
  ...infer Rest,
]
  ? [] extends Rest
    ? Item
    : never
  : never;

/**
 * A function that runs in containers on the platform.
 *
 * `Args` and `Result` are those of the user's function, so calls are checked as local ones are.
 */
export class RemoteFunction<Args extends unknown[] = unknown[], Result = unknown> {
  readonly #target: CallTarget;

  /** Functions come from `app.function` and `App.lookup`. */
  constructor(target: CallTarget) {
    this.#target = target;
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
   * Calls the function and waits for its result, however long it takes.
   *
   * @throws the error the function threw (`RemoteError`), CallError when the platform ended
   *   it, SerializationError before anything is sent when an argument cannot be.
   */
  async remote(...args: Args): Promise<Awaited<Result>> {
    const payload = this.#target.encode(args);
    const callId = newCallId();
    const header = { ...singleCall(callId, payload), waitMs: WAIT_MS_MAX };
    const firstPage = await this.#target.createCall(header, [payload]);
    const { client } = this.#target;
    return (await waitForValue({ client, callId, firstPage })) as Awaited<Result>;
  }

  /**
   * Calls the function once for each item and yields the results as they come.
   *
   * Items are read only as far ahead as `concurrency` allows, so endless sources are fine.
   * The first failure is thrown and cancels the rest, and so does leaving the loop early.
   *
   * @example
   * for await (const result of square.map([1, 2, 3])) console.log(result);
   */
  map(
    items: Iterable<MapItem<Args>> | AsyncIterable<MapItem<Args>>,
    options: MapOptions = {},
  ): AsyncGenerator<Awaited<Result>, void, undefined> {
    return mapInputs(this.#target, items, options) as AsyncGenerator<
      Awaited<Result>,
      void,
      undefined
    >;
  }

  /** Starts a call and does not wait for it; resolves once the platform has accepted it. */
  async spawn(...args: Args): Promise<FunctionCall<Awaited<Result>>> {
    const payload = this.#target.encode(args);
    const callId = newCallId();
    await this.#target.createCall({ ...singleCall(callId, payload), waitMs: 0 }, [payload]);
    return FunctionCall.fromId(callId, { client: this.#target.client });
  }
}

/** A function defined in this process: what a `RemoteFunction` does, and `local`. */
export class AppFunction<
  Args extends unknown[] = unknown[],
  Result = unknown,
> extends RemoteFunction<Args, Result> {
  /** What the function asked for, as it was written. */
  readonly spec: FunctionSpec;
  readonly #handler: (...args: Args) => Result;

  /** Made by `app.function`. */
  constructor(target: CallTarget, spec: FunctionSpec, handler: (...args: Args) => Result) {
    super(target);
    this.spec = spec;
    this.#handler = handler;
  }

  /** Runs the function here, in this process, as if it were called directly. */
  local(...args: Args): Result {
    return this.#handler(...args);
  }
}

function singleCall(callId: string, payload: Uint8Array) {
  return { callId, kind: "single", sizes: [payload.byteLength], final: true } as const;
}
