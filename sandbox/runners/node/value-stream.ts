/**
 * The values of one generator, sent as they are yielded and only so far ahead of the reader.
 *
 * A generator that runs again begins anew: its first `skip` values are with the reader already
 * and are not sent. So it should yield the same values in the same order each time.
 */
import { encodeSegments, joinSegments, PAYLOAD_BYTES_MAX } from "../../../sdk/protocol/index.ts";
import { muchTooLargeError } from "../too-large.ts";

/** Values that may be on their way to the reader. */
const AHEAD_VALUES_MAX = 32;
/** And their bytes; one larger value goes alone. */
const AHEAD_BYTES_MAX = 8 * 1024 * 1024;

type AnyIterator = Iterator<unknown, unknown> | AsyncIterator<unknown, unknown>;

export interface ValueStreamOptions {
  /** Values that are with the reader already. */
  readonly skip: number;
  /** Sends the value of a position. */
  readonly send: (sequence: number, payload: Uint8Array) => void;
  /** Keeps a payload that is too large for a frame, and gives what names it. */
  readonly store: (segments: readonly Uint8Array[], signal: AbortSignal) => Promise<Uint8Array>;
  /** Aborts when no more is wanted. */
  readonly signal: AbortSignal;
}

export class ValueStream {
  readonly #options: ValueStreamOptions;
  /** Sizes of the values sent and not consumed, oldest first; of large ones, what they name. */
  readonly #ahead: number[] = [];
  #sequence = 0;
  #consumed: number;
  #wake: (() => void) | undefined;

  constructor(options: ValueStreamOptions) {
    this.#options = options;
    this.#consumed = options.skip;
  }

  /** The reader has everything before this position. */
  consume(position: number): void {
    while (this.#consumed < position && this.#ahead.length > 0) {
      this.#ahead.shift();
      this.#consumed += 1;
    }
    this.#wake?.();
  }

  /**
   * Sends what the iterator yields; gives what it returns.
   *
   * When the signal aborts, the generator is ended where it is, as by `return()`, so that its
   * `finally` blocks run.
   *
   * @throws what the generator throws, or the signal's reason.
   */
  async drain(iterator: AnyIterator): Promise<unknown> {
    const { signal, skip } = this.#options;
    const wake = (): void => this.#wake?.();
    signal.addEventListener("abort", wake);
    try {
      for (;;) {
        await this.#room();
        if (signal.aborted) {
          await iterator.return?.();
          throw signal.reason;
        }
        const step = await iterator.next();
        if (step.done === true) return step.value;
        const sequence = this.#sequence;
        this.#sequence += 1;
        if (sequence < skip) continue;
        await this.#send(sequence, step.value);
      }
    } catch (error) {
      // A value that cannot be sent leaves the generator in the middle.
      await Promise.resolve(iterator.return?.()).catch(() => undefined);
      throw error;
    } finally {
      signal.removeEventListener("abort", wake);
    }
  }

  /** The generator stands still meanwhile: it cannot change what is being stored. */
  async #send(sequence: number, value: unknown): Promise<void> {
    const { send, store, signal } = this.#options;
    const segments = encodeSegments(value, `value ${sequence}`);
    const size = segments.reduce((sum, { byteLength }) => sum + byteLength, 0);
    const error = muchTooLargeError(size, `value ${sequence}`);
    if (error !== undefined) throw new RangeError(error.message);
    const isLarge = size > PAYLOAD_BYTES_MAX;
    const payload = isLarge ? await store(segments, signal) : joinSegments(segments);
    this.#ahead.push(size);
    send(sequence, payload);
  }

  async #room(): Promise<void> {
    while (!this.#options.signal.aborted && !this.#hasRoom()) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    this.#wake = undefined;
  }

  #hasRoom(): boolean {
    const bytes = this.#ahead.reduce((sum, size) => sum + size, 0);
    return (
      this.#ahead.length === 0 || (this.#ahead.length < AHEAD_VALUES_MAX && bytes < AHEAD_BYTES_MAX)
    );
  }
}

/** The iterator of what a generator function gave; undefined for any other value. */
export function iteratorOf(value: unknown): AnyIterator | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const isGenerator = /^\[object (Async)?Generator\]$/.test(Object.prototype.toString.call(value));
  return isGenerator ? (value as AnyIterator) : undefined;
}
