/**
 * Values that generators yield, on their way from containers into the ledger and to readers.
 *
 * A value is known by its position in the stream. The ledger takes each position once, in order,
 * so that a generator that runs again, after its container was lost, gives no value twice: it is
 * told how many there are, and skips so many. A container sends only a window of values ahead of
 * the reader; where the reader is, it hears by credits.
 */
import type { Clock } from "../../core/index.ts";
import type { BlobStore } from "../blobs/blob-store.ts";
import { storePayload } from "../blobs/payloads.ts";
import type { CallLedger } from "../store/record-store.ts";
import type { LocalInput } from "./input.ts";

/** How far a stream is. */
export interface StreamProgress {
  /** Values in the ledger: the agent may forget them. */
  readonly stored: number;
  /** Values that the reader has asked beyond. */
  readonly consumed: number;
}

export interface StreamsOptions {
  readonly ledger: Pick<CallLedger, "appendValues">;
  readonly blobs: BlobStore;
  readonly clock: Clock;
  /** Values of a call are in the ledger. */
  readonly onStored: (callId: string) => void;
  readonly onError: (error: unknown, doing: string) => void;
}

/** Pause before a failed write is tried again; the agent keeps the values meanwhile. */
const RETRY_MS = 500;

export class Streams {
  readonly #options: StreamsOptions;
  readonly #closing = new AbortController();
  /** The end of what is being written, by call. */
  readonly #writing = new Map<string, Promise<unknown>>();
  readonly #consumed = new Map<string, number>();

  constructor(options: StreamsOptions) {
    this.#options = options;
  }

  /**
   * Writes values of an input that a container holds, the first of them at position `from`.
   * Resolves when they are in the ledger; those of one call are written one after the other.
   */
  append(
    input: LocalInput,
    from: number,
    payloads: readonly Uint8Array[],
  ): Promise<StreamProgress> {
    const { callId } = input;
    const before = this.#writing.get(callId) ?? Promise.resolve();
    const writing = before.then(() => this.#append(input, from, payloads));
    this.#writing.set(callId, writing);
    const forget = (): void => {
      if (this.#writing.get(callId) === writing) this.#writing.delete(callId);
    };
    writing.then(forget, forget);
    return writing;
  }

  /** Resolves when all values that have come of these calls are in the ledger. */
  async settled(callIds: readonly string[]): Promise<void> {
    if (this.#writing.size === 0) return;
    for (const callId of new Set(callIds)) await this.#writing.get(callId);
  }

  /** The reader has everything before `cursor`. */
  read(callId: string, cursor: number): void {
    this.#consumed.set(callId, Math.max(cursor, this.consumed(callId)));
  }

  /** Where the reader of a call is. */
  consumed(callId: string): number {
    return this.#consumed.get(callId) ?? 0;
  }

  /** The call has ended. */
  forget(callId: string): void {
    this.#consumed.delete(callId);
  }

  /** Stops retrying. */
  close(): void {
    this.#closing.abort();
  }

  async #append(
    input: LocalInput,
    from: number,
    payloads: readonly Uint8Array[],
  ): Promise<StreamProgress> {
    const { ledger, blobs, clock, onStored, onError } = this.#options;
    const { callId } = input;
    for (;;) {
      try {
        const stored = await Promise.all(
          payloads.map(async (payload) => storePayload(blobs, payload)),
        );
        const valueCount = await ledger.appendValues(callId, from, stored);
        if (input.stream !== undefined) input.stream.valueCount = valueCount;
        onStored(callId);
        return { stored: valueCount, consumed: this.consumed(callId) };
      } catch (error) {
        if (this.#closing.signal.aborted) throw error;
        onError(error, `writing values of call ${callId}`);
        await clock.sleep(RETRY_MS, this.#closing.signal);
      }
    }
  }
}
