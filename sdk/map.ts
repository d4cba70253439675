/**
 * Map: one call with many inputs, of which only a window is ever out.
 *
 * Three loops share one state. Pulling reads the source while fewer than `concurrency` items
 * are between source and consumer. Sending ships what was pulled, one request at a time, so
 * that a fast source makes large chunks and a slow one small ones. Receiving long-polls pages
 * of results by cursor. A loop that cannot go on waits for `#changed`; a server that restarts
 * is waited for below, in the client.
 *
 * Memory is bounded by the window: at most `concurrency` items, PENDING_BYTES_MAX of encoded
 * inputs (or one larger item, which is sent ahead as blobs), and RESULT_BYTES_MAX of results the consumer could take (or one
 * page more).
 */
import { newCallId } from "./call-id.ts";
import { callHeaderOf, signalOf, type CallOptions } from "./call-options.ts";
import type { CallTarget } from "./call-target.ts";
import { cancelInPassing, type ReceivedResult, type ResultsPage } from "./client/client.ts";
import { pause } from "./client/pause.ts";
import { CallError, RequestError, UsageError } from "./errors.ts";
import { WAIT_MS_MAX, type CallStatus } from "./protocol/api.ts";
import { pollResults, valueOf, valueOrErrorOf } from "./results.ts";

/** How `map` reads its items and gives its results. */
export interface MapOptions {
  /** Yield results in the order of the items (default), or each as soon as it is there. */
  readonly ordered?: boolean;
  /** Most items between source and consumer at once, 1 to 100,000. Default 2,048. */
  readonly concurrency?: number;
  /** Yield the error of an item that failed in its place, and go on. Default false: throw it. */
  readonly returnExceptions?: boolean;
}

/** What `mapInputs` needs beside the user's options. */
export interface MapRequest extends MapOptions {
  /** Whether an item is the function's only argument, or the list of all of them. */
  readonly spread: boolean;
  readonly call: CallOptions;
}

const CONCURRENCY_DEFAULT = 2_048;
const CONCURRENCY_MAX = 100_000;
/** Half of the default window, so that one chunk is worked on while the next travels. */
const CHUNK_INPUTS_MAX = 1_024;
const CHUNK_BYTES_MAX = 8 * 1024 * 1024;
const PENDING_BYTES_MAX = 16 * 1024 * 1024;
const RESULT_BYTES_MAX = 32 * 1024 * 1024;
const PAGE_RESULTS_MAX = 1_024;
/** A synchronous source is left after this long, so that sending and receiving get a turn. */
const PULL_SLICE_MS = 10;
/** How long the end of a broken-off map waits for the request that is under way. */
const LAST_SEND_MS_MAX = 500;

type Source = Iterable<unknown> | AsyncIterable<unknown>;

interface SourceIterator {
  next(): SourceStep | PromiseLike<SourceStep>;
  return?(): unknown;
}

interface SourceStep {
  readonly done?: boolean | undefined;
  readonly value: unknown;
}

/** Yields the value of every item's result; see `RemoteFunction.map`. */
export async function* mapInputs(
  target: CallTarget,
  items: Source,
  options: MapRequest,
): AsyncGenerator<unknown, void, undefined> {
  const run = new MapRun(target, items, options);
  try {
    run.start();
    for (;;) {
      const result = await run.next();
      if (result === undefined) return;
      const { client } = target;
      const read = options.returnExceptions === true ? valueOrErrorOf : valueOf;
      yield await read(client, result, signalOf(options.call));
    }
  } finally {
    await run.close();
  }
}

class MapRun {
  readonly #target: CallTarget;
  readonly #iterator: SourceIterator;
  readonly #callId = newCallId();
  readonly #window: number;
  readonly #ordered: boolean;
  readonly #options: MapRequest;
  readonly #signal: AbortSignal | undefined;
  readonly #abort = new AbortController();
  readonly #changed = new Turnstile();
  readonly #sendAbort = new AbortController();
  #sending: Promise<void> = Promise.resolve();
  #isStarting = false;

  #pulledCount = 0;
  #sourceDone = false;
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  #sentCount = 0;
  #allSent = false;

  readonly #results = new Map<number, ReceivedResult>();
  #resultBytes = 0;
  #receivedCount = 0;
  #deliveredCount = 0;
  #failed: ReceivedResult | undefined;
  #broken: { readonly error: unknown } | undefined;

  constructor(target: CallTarget, items: Source, options: MapRequest) {
    if (options.call.idempotencyKey !== undefined) {
      throw new UsageError("a map takes no idempotencyKey: its items are sent as they are read");
    }
    this.#target = target;
    this.#options = options;
    this.#signal = signalOf(options.call);
    this.#window = checkConcurrency(options.concurrency ?? CONCURRENCY_DEFAULT);
    this.#ordered = options.ordered ?? true;
    this.#iterator = iteratorOf(items);
  }

  start(): void {
    if (this.#signal?.aborted === true) {
      this.#onAborted();
      return;
    }
    this.#signal?.addEventListener("abort", this.#onAborted, { once: true });
    const guard = (loop: Promise<void>): Promise<void> =>
      loop.catch((error: unknown) => this.#break(error));
    void guard(this.#pull());
    this.#sending = guard(this.#send());
    void guard(this.#receive());
  }

  readonly #onAborted = (): void => {
    // What was received is not given out any more: whoever aborts wants none of it.
    this.#results.clear();
    this.#break(this.#signal?.reason);
  };

  /** The next result to give out, or undefined at the end. @throws what ended the map early. */
  async next(): Promise<ReceivedResult | undefined> {
    for (;;) {
      const result = this.#takeDeliverable();
      if (result !== undefined) return result;
      if (this.#broken !== undefined) throw this.#broken.error;
      if (this.#isComplete()) return undefined;
      await this.#changed.wait();
    }
  }

  /** Ends the loops; cancels what is still running on the platform. */
  async close(): Promise<void> {
    const isCancelNeeded = !this.#isComplete();
    this.#signal?.removeEventListener("abort", this.#onAborted);
    this.#abort.abort();
    this.#changed.notify();
    if (!this.#sourceDone) closeSource(this.#iterator);
    if (!isCancelNeeded) return;
    const waiting = new AbortController();
    await Promise.race([this.#sending, pause(LAST_SEND_MS_MAX, waiting.signal)]);
    waiting.abort();
    const mayBeThere = this.#sentCount > 0 || this.#isStarting;
    this.#sendAbort.abort();
    if (mayBeThere) await cancelInPassing(this.#target.client, this.#callId);
  }

  async #pull(): Promise<void> {
    let sliceStartMs = performance.now();
    while (!this.#isStopped()) {
      if (!this.#hasRoom()) {
        await this.#changed.wait();
        sliceStartMs = performance.now();
        continue;
      }
      const step = this.#iterator.next();
      const { done, value } = isThenable(step) ? await step : step;
      if (done === true) {
        this.#sourceDone = true;
        this.#changed.notify();
        return;
      }
      const sending = this.#enqueue(value);
      if (sending !== undefined) await sending;
      if (performance.now() - sliceStartMs > PULL_SLICE_MS) {
        await pause(0);
        sliceStartMs = performance.now();
      }
    }
  }

  #isStopped(): boolean {
    return this.#abort.signal.aborted;
  }

  #hasRoom(): boolean {
    const outCount = this.#pulledCount - this.#deliveredCount;
    return outCount < this.#window && this.#pendingBytes < PENDING_BYTES_MAX;
  }

  /** Takes an item in; a promise only where it is so large that it is sent ahead. */
  #enqueue(item: unknown): Promise<void> | undefined {
    const args = this.#options.spread ? item : [item];
    if (!Array.isArray(args)) {
      throw new UsageError(`item ${this.#pulledCount} of starmap is no list of arguments`);
    }
    const label = `item ${this.#pulledCount}: args`;
    const encoded = this.#target.encode(args, { label, signal: this.#abort.signal });
    this.#pulledCount += 1;
    if (!(encoded instanceof Uint8Array)) return encoded.then((payload) => this.#add(payload));
    this.#add(encoded);
    return undefined;
  }

  #add(payload: Uint8Array): void {
    this.#pending.push(payload);
    this.#pendingBytes += payload.byteLength;
    this.#changed.notify();
  }

  async #send(): Promise<void> {
    while (!this.#isStopped()) {
      if (this.#pending.length === 0 && !this.#sourceDone) {
        await this.#changed.wait();
        continue;
      }
      // While results flow back the source gets room item by item: let a chunk gather.
      if (this.#sentCount > 0) await pause(0);
      const chunk = this.#takeChunk();
      const final = this.#sourceDone && this.#pending.length === 0;
      if (chunk.length > 0 || this.#sentCount > 0) await this.#sendChunk(chunk, final);
      this.#sentCount += chunk.length;
      this.#allSent = final;
      this.#changed.notify();
      if (final) return;
    }
  }

  async #sendChunk(chunk: readonly Uint8Array[], final: boolean): Promise<void> {
    const sizes = chunk.map((payload) => payload.byteLength);
    if (this.#sentCount === 0) {
      const start = { callId: this.#callId, kind: "map", sizes, final, waitMs: 0 } as const;
      const header = { ...start, ...callHeaderOf(this.#options.call) };
      this.#isStarting = true;
      await this.#target.createCall(header, chunk, this.#sendAbort.signal).finally(() => {
        this.#isStarting = false;
      });
      return;
    }
    const header = { startIndex: this.#sentCount, sizes, final };
    await this.#target.client.appendInputs(this.#callId, header, chunk, this.#sendAbort.signal);
  }

  #takeChunk(): Uint8Array[] {
    let count = 0;
    let bytes = 0;
    for (const payload of this.#pending) {
      const isFull = count >= CHUNK_INPUTS_MAX || bytes + payload.byteLength > CHUNK_BYTES_MAX;
      if (isFull && count > 0) break;
      bytes += payload.byteLength;
      count += 1;
    }
    this.#pendingBytes -= bytes;
    this.#changed.notify();
    return this.#pending.splice(0, count);
  }

  async #receive(): Promise<void> {
    let cursor = 0;
    while (!this.#isStopped() && !this.#isComplete()) {
      if (this.#sentCount === 0 || this.#isConsumerBehind()) {
        await this.#changed.wait();
        continue;
      }
      const page = await pollResults({
        client: this.#target.client,
        callId: this.#callId,
        cursor,
        limit: PAGE_RESULTS_MAX,
        waitMs: WAIT_MS_MAX,
        signal: this.#abort.signal,
      });
      cursor = page.nextCursor;
      this.#accept(page);
    }
  }

  #accept({ results, status }: ResultsPage): void {
    for (const result of results) {
      this.#receivedCount += 1;
      this.#resultBytes += result.payload.byteLength;
      const isGivenOut = result.outcome === "succeeded" || this.#options.returnExceptions === true;
      if (isGivenOut) this.#results.set(result.index, result);
      else this.#failed ??= result;
    }
    if (results.length === 0 && status.state !== "running" && !this.#isComplete()) {
      throw this.#endedEarly(status.state);
    }
    this.#changed.notify();
  }

  #endedEarly(state: CallStatus["state"]): Error {
    if (state === "cancelled") {
      return new CallError(`call ${this.#callId} was cancelled`, { code: "cancelled" });
    }
    return new RequestError(
      `call ${this.#callId} ended with ${this.#receivedCount} results for ${this.#sentCount} inputs`,
      { code: "strange_answer" },
    );
  }

  #isConsumerBehind(): boolean {
    return this.#resultBytes > RESULT_BYTES_MAX && this.#deliverableIndex() !== undefined;
  }

  #isComplete(): boolean {
    return this.#allSent && this.#receivedCount === this.#sentCount;
  }

  #deliverableIndex(): number | undefined {
    if (this.#ordered) {
      return this.#results.has(this.#deliveredCount) ? this.#deliveredCount : undefined;
    }
    const [index] = this.#results.keys();
    return index;
  }

  /** What came before a failure and is in turn is given out first; then the failure. */
  #takeDeliverable(): ReceivedResult | undefined {
    const index = this.#deliverableIndex();
    const result = index === undefined ? this.#failed : this.#results.get(index);
    if (result === undefined) return undefined;
    this.#results.delete(result.index);
    this.#deliveredCount += 1;
    this.#resultBytes -= result.payload.byteLength;
    this.#changed.notify();
    return result;
  }

  #break(error: unknown): void {
    if (this.#abort.signal.aborted) return;
    this.#broken ??= { error };
    this.#changed.notify();
  }
}

/** Lets any number of waiters go at each `notify`. */
class Turnstile {
  #gate = Promise.withResolvers<undefined>();
  #isAwaited = false;

  wait(): Promise<undefined> {
    this.#isAwaited = true;
    return this.#gate.promise;
  }

  notify(): void {
    if (!this.#isAwaited) return;
    this.#isAwaited = false;
    const gate = this.#gate;
    this.#gate = Promise.withResolvers<undefined>();
    gate.resolve(undefined);
  }
}

function checkConcurrency(concurrency: number): number {
  if (Number.isInteger(concurrency) && concurrency >= 1 && concurrency <= CONCURRENCY_MAX) {
    return concurrency;
  }
  throw new UsageError(
    `concurrency must be a whole number from 1 to ${CONCURRENCY_MAX}, got ${concurrency}`,
  );
}

function iteratorOf(items: Source): SourceIterator {
  if (Symbol.asyncIterator in items) return items[Symbol.asyncIterator]();
  if (Symbol.iterator in items) return items[Symbol.iterator]();
  throw new UsageError("map needs an iterable or async iterable of items");
}

/** Tells the source that no more is wanted. Not awaited: it may be busy with a slow item. */
function closeSource(iterator: SourceIterator): void {
  const closing = new Promise((resolve) => resolve(iterator.return?.()));
  closing.catch(() => {
    // The map is over and has its own end; how the source takes it changes nothing.
  });
}

function isThenable(step: SourceStep | PromiseLike<SourceStep>): step is PromiseLike<SourceStep> {
  return "then" in step;
}
