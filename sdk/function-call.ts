import { LineOrder } from "./line-order.ts";
import { isCallId } from "./call-id.ts";
import { streamEvents } from "./client/event-stream.ts";
import { defaultClient, type Client } from "./client/client.ts";
import { UsageError } from "./errors.ts";
import type { CallStatus } from "./protocol/api.ts";
import { waitForValue } from "./results.ts";

/** How `FunctionCall.get` waits. */
export interface GetOptions {
  /** Give up after this long; 0 looks once. Absent waits until there is a result. */
  readonly timeoutMs?: number;
  /** Gives up waiting when it aborts; the call goes on. */
  readonly signal?: AbortSignal;
}

/** How one thing is asked of the platform. */
export interface RequestOptions {
  /** Gives up when it aborts, with its reason; what was asked may have been done all the same. */
  readonly signal?: AbortSignal;
}

/** One line that a function printed. */
export interface LogLine {
  readonly stream: "stdout" | "stderr";
  readonly text: string;
  readonly atMs: number;
  readonly containerId: string | undefined;
}

/**
 * One call of a function that runs on its own; its id can be kept and used in another process.
 *
 * @example
 * const call = await square.spawn(7);
 * const result = await call.get({ timeoutMs: 60_000 });
 */
export class FunctionCall<Result = unknown> {
  readonly callId: string;
  readonly #client: Client | undefined;

  private constructor(callId: string, client: Client | undefined) {
    this.callId = callId;
    this.#client = client;
  }

  /** The call with this id, made by `spawn` here or elsewhere. @throws UsageError */
  static fromId<Result = unknown>(
    callId: string,
    options: { readonly client?: Client | undefined } = {},
  ): FunctionCall<Result> {
    if (!isCallId(callId)) throw new UsageError(`"${callId}" is not the id of a call`);
    return new FunctionCall<Result>(callId, options.client);
  }

  /**
   * The function's result.
   *
   * @throws the error the function threw, CallError when the platform ended it, TimeoutError
   *   when there is no result in time (the call goes on).
   */
  async get(options: GetOptions = {}): Promise<Result> {
    const { timeoutMs, signal } = options;
    if (timeoutMs !== undefined && !(timeoutMs >= 0)) {
      throw new UsageError(`timeoutMs must be 0 or more, got ${timeoutMs}`);
    }
    const client = this.#reach();
    return (await waitForValue({ client, callId: this.callId, timeoutMs, signal })) as Result;
  }

  /** How far the call is, and why it waits if it does. */
  status({ signal }: RequestOptions = {}): Promise<CallStatus> {
    return this.#reach().callStatus(this.callId, signal);
  }

  /** Ends the call; inputs that have no result yet are recorded as cancelled. */
  async cancel({ signal }: RequestOptions = {}): Promise<void> {
    await this.#reach().cancelCall(this.callId, signal);
  }

  /**
   * What the call prints, from its start to its end; ends when the call has. Lines older than
   * the platform keeps are left out.
   *
   * @throws the signal's reason when it aborts before the call has ended.
   */
  async *logs(options: RequestOptions = {}): AsyncGenerator<LogLine, void> {
    const ending = new AbortController();
    const { signal } = ending;
    const lines = new LineOrder();
    const both = options.signal === undefined ? signal : AbortSignal.any([signal, options.signal]);
    try {
      const client = this.#reach();
      for await (const event of streamEvents(
        client,
        { call: this.callId, after: "0" },
        { signal: both },
      )) {
        if (event.kind === "call.finished") return;
        if (event.kind !== "log" || !lines.place(event).isNew) continue;
        const { stream, text, atMs, containerId } = event;
        yield { stream, text, atMs, containerId };
      }
      options.signal?.throwIfAborted();
    } finally {
      ending.abort();
    }
  }

  #reach(): Client {
    return this.#client ?? defaultClient();
  }
}
