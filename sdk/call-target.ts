/** What a call goes to: a function on a server, found by its name once and then kept. */
import { defaultClient, type Client, type ResultsPage } from "./client/client.ts";
import { NotFoundError, UsageError } from "./errors.ts";
import { PAYLOAD_BYTES_MAX, type CreateCallHeader } from "./protocol/api.ts";
import { encodeValue, SerializationError } from "./protocol/values.ts";
import { namelessFunction, type FunctionBinding } from "./registry.ts";

export interface CallTargetOptions {
  readonly app: string;
  readonly binding: FunctionBinding;
  readonly client?: Client | undefined;
}

/** Where the calls of one function go. */
export class CallTarget {
  readonly #options: CallTargetOptions;
  #looked: Promise<string> | undefined;

  constructor(options: CallTargetOptions) {
    this.#options = options;
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

  /**
   * Starts a call; one request once the function is known. A function that was deployed again
   * since then is looked up again, once.
   */
  async createCall(
    header: CreateCallHeader,
    payloads: readonly Uint8Array[],
  ): Promise<ResultsPage> {
    refuseInContainer(this.#options.app);
    const functionId = await this.#functionId();
    try {
      return await this.client.createCall(functionId, header, payloads);
    } catch (error) {
      if (!(error instanceof NotFoundError) || this.#options.binding.functionId !== undefined) {
        throw error;
      }
      this.#looked = undefined;
      const functionIdNow = await this.#functionId();
      if (functionIdNow === functionId) throw error;
      return await this.client.createCall(functionIdNow, header, payloads);
    }
  }

  /** Finds the function on the server now, not at the first call. @throws NotFoundError */
  async find(): Promise<void> {
    await this.#functionId();
  }

  #functionId(): Promise<string> {
    const own = this.#options.binding.functionId;
    if (own !== undefined) return Promise.resolve(own);
    this.#looked ??= this.#lookUp();
    return this.#looked;
  }

  async #lookUp(): Promise<string> {
    try {
      const { functionId } = await this.client.lookupFunction(this.#options.app, this.name);
      return functionId;
    } catch (error) {
      this.#looked = undefined;
      if (!(error instanceof NotFoundError)) throw error;
      throw new NotFoundError(
        error.message,
        "deploy the app with `flotilla deploy FILE`, or see what there is with `flotilla app list`",
      );
    }
  }
}

/**
 * The payload of one input's arguments.
 *
 * @throws SerializationError naming the argument, or the size when it is too large.
 */
export function encodeArgs(args: readonly unknown[], label: string): Uint8Array {
  const payload = encodeValue(args, label);
  if (payload.byteLength <= PAYLOAD_BYTES_MAX) return payload;
  throw new SerializationError(
    `${label} take ${payload.byteLength} bytes; one input may have ${PAYLOAD_BYTES_MAX}`,
  );
}

/** Runners set this key; containers have no way to the server. */
const CONTAINER_KEY = Symbol.for("flotilla.container");

function refuseInContainer(app: string): void {
  if (!(CONTAINER_KEY in globalThis)) return;
  throw new UsageError(
    `a function of app "${app}" was called from within a container, which has no network: ` +
      "use .local() there, or make the call where the result is used",
  );
}
