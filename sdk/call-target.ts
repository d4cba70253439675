/** What a call goes to: a function on a server, found by its name once and then kept. */
import { defaultClient, type Client, type ResultsPage } from "./client/client.ts";
import { encodePayload } from "./client/large-values.ts";
import { unlessAborted } from "./client/unless-aborted.ts";
import { NotFoundError, UsageError } from "./errors.ts";
import {
  VARIANT_PARAMS_BYTES_MAX,
  type CreateCallHeader,
  type FunctionScaling,
  type ScalingUpdate,
} from "./protocol/api.ts";
import type { FunctionOptions } from "./protocol/spec.ts";
import { encodeValue, SerializationError } from "./protocol/values.ts";
import { namelessFunction, type FunctionBinding } from "./registry.ts";
import { validateSpec } from "./validate-spec.ts";

export interface CallTargetOptions {
  readonly app: string;
  readonly binding: FunctionBinding;
  readonly client?: Client | undefined;
  /** Of a class: the method that calls go to. */
  readonly method?: string;
  /** Of a class: the payload of its constructor's parameters; absent is the same as none. */
  readonly params?: Uint8Array;
  /** What replaces parts of the deployed spec. */
  readonly options?: FunctionOptions;
}

/** How arguments are encoded. */
export interface EncodeOptions {
  /** What the arguments are called in messages. */
  readonly label?: string;
  /** Gives up sending what is large. */
  readonly signal?: AbortSignal | undefined;
}

/** Where the calls of one function go. */
export class CallTarget {
  readonly #options: CallTargetOptions;
  readonly #finder: Finder;

  /** @param finder That of another target which goes to the same containers. */
  constructor(options: CallTargetOptions, finder?: Finder) {
    this.#options = options;
    this.#finder = finder ?? new Finder((signal) => this.#lookUp(signal));
  }

  get client(): Client {
    return this.#options.client ?? defaultClient();
  }

  /** The function's name. @throws UsageError when nothing names it. */
  get name(): string {
    const { binding, app } = this.#options;
    if (binding.name === undefined) throw namelessFunction({ name: app });
    return binding.name;
  }

  /** The method of a class that calls go to. */
  get method(): string | undefined {
    return this.#options.method;
  }

  /** The same class with these parameters. @throws SerializationError naming the parameter. */
  withParams(params: readonly unknown[]): CallTarget {
    if (params.length === 0) return this;
    return new CallTarget({ ...this.#options, params: encodeParams(params) });
  }

  /** A method of the same instance; all its methods share one look-up. */
  withMethod(method: string): CallTarget {
    return new CallTarget({ ...this.#options, method }, this.#finder);
  }

  /** The same with other options. @throws UsageError naming the option that is wrong. */
  withOptions(options: FunctionOptions): CallTarget {
    if ("name" in options) throw new UsageError("withOptions cannot rename a function");
    if ("schedule" in options) throw new UsageError("withOptions cannot change a schedule");
    validateSpec(options);
    return new CallTarget({ ...this.#options, options: { ...this.#options.options, ...options } });
  }

  /**
   * The payload of one input's arguments; a promise only where they are so large that they are
   * sent ahead of it.
   *
   * @throws SerializationError naming the argument, or the size when it is too large.
   */
  encode(args: readonly unknown[], options: EncodeOptions = {}): Uint8Array | Promise<Uint8Array> {
    const { method } = this.#options;
    const { label = "args", signal } = options;
    const { chunks } = this.client;
    const how = { label, chunks, ...(signal === undefined ? {} : { signal }) };
    if (method === undefined) return encodePayload(args, how);
    try {
      return encodePayload([method, ...args], how);
    } catch (error) {
      // Alone, so that a message counts the user's arguments only.
      encodeValue(args, label);
      throw error;
    }
  }

  /**
   * Starts a call; one request once the function is known. A function that was deployed again
   * since then is looked up again, once.
   */
  async createCall(
    header: CreateCallHeader,
    payloads: readonly Uint8Array[],
    signal?: AbortSignal,
  ): Promise<ResultsPage> {
    return this.#withFunction(
      (functionId) => this.client.createCall(functionId, header, payloads, signal),
      signal,
    );
  }

  /** Changes how the function scales. @throws UsageError naming the field; NotFoundError */
  async scale(update: ScalingUpdate, signal?: AbortSignal): Promise<FunctionScaling> {
    validateSpec(update);
    const { scaling } = await this.#withFunction(
      (functionId) => this.client.scaleFunction(functionId, update, signal),
      signal,
    );
    return scaling;
  }

  /** Asks something of the function; one that was deployed again is looked up again, once. */
  async #withFunction<Answer>(
    ask: (functionId: string) => Promise<Answer>,
    signal: AbortSignal | undefined,
  ): Promise<Answer> {
    const functionId = await this.#finder.find(signal);
    try {
      return await ask(functionId);
    } catch (error) {
      if (!(error instanceof NotFoundError) || this.#options.binding.functionId !== undefined) {
        throw error;
      }
      this.#finder.forget();
      const functionIdNow = await this.#finder.find(signal);
      if (functionIdNow === functionId) throw error;
      return await ask(functionIdNow);
    }
  }

  /** Finds the function on the server now, not at the first call. @throws NotFoundError */
  async find(signal?: AbortSignal): Promise<void> {
    await this.#finder.find(signal);
  }

  /** The URL of a function that has one. @throws NotFoundError */
  async webUrl(signal?: AbortSignal): Promise<string> {
    const { app, binding } = this.#options;
    const lookUp = () => this.client.lookupFunction(app, this.name, signal);
    const webPath = binding.webPath ?? (await lookUp()).webPath;
    if (webPath === undefined) throw new NotFoundError(`${this.name} was deployed without a URL`);
    const { serverUrl } = await this.client.transport.connection();
    return serverUrl + webPath;
  }

  async #lookUp(signal: AbortSignal): Promise<string> {
    const { binding, params, options } = this.#options;
    const functionId = binding.functionId ?? (await this.#lookUpByName(signal));
    if (params === undefined && options === undefined) return functionId;
    const header = { options: options ?? {}, paramsBytes: params?.byteLength ?? 0 };
    const variant = await this.client.openVariant(functionId, header, params, signal);
    return variant.functionId;
  }

  async #lookUpByName(signal: AbortSignal): Promise<string> {
    const { app } = this.#options;
    try {
      const { functionId } = await this.client.lookupFunction(app, this.name, signal);
      return functionId;
    } catch (error) {
      if (!(error instanceof NotFoundError)) throw error;
      throw new NotFoundError(
        error.message,
        "deploy the app with `flotilla deploy FILE`, or see what there is with `flotilla app list`",
      );
    }
  }
}

/** One look-up that all who ask meanwhile wait for. */
interface Search {
  readonly found: Promise<string>;
  readonly ending: AbortController;
  waiterCount: number;
}

/**
 * Looks something up once, for all who ask; a failure is not kept. Whoever gives up waiting
 * leaves it to the others, and the last of them ends it.
 */
class Finder {
  readonly #lookUp: (signal: AbortSignal) => Promise<string>;
  #search: Search | undefined;
  #functionId: string | undefined;

  constructor(lookUp: (signal: AbortSignal) => Promise<string>) {
    this.#lookUp = lookUp;
  }

  /** @throws what looking up throws, or the signal's reason. */
  async find(signal?: AbortSignal): Promise<string> {
    signal?.throwIfAborted();
    if (this.#functionId !== undefined) return this.#functionId;
    const search = (this.#search ??= this.#begin());
    search.waiterCount += 1;
    try {
      return await unlessAborted(search.found, signal);
    } finally {
      search.waiterCount -= 1;
      if (search.waiterCount === 0) {
        search.ending.abort();
        this.#end(search);
      }
    }
  }

  forget(): void {
    this.#search = undefined;
    this.#functionId = undefined;
  }

  #begin(): Search {
    const ending = new AbortController();
    const found = this.#lookUp(ending.signal).then((functionId) => {
      // One that began after a `forget` knows better.
      if (this.#search === search) this.#functionId = functionId;
      return functionId;
    });
    const search: Search = { found, ending, waiterCount: 0 };
    return search;
  }

  #end(search: Search): void {
    if (this.#search === search) this.#search = undefined;
  }
}

/** The payload of a constructor's parameters. @throws SerializationError */
function encodeParams(params: readonly unknown[]): Uint8Array {
  const payload = encodeValue(params, "params");
  if (payload.byteLength <= VARIANT_PARAMS_BYTES_MAX) return payload;
  throw new SerializationError(
    `params take ${payload.byteLength} bytes; they may have ${VARIANT_PARAMS_BYTES_MAX}`,
  );
}
