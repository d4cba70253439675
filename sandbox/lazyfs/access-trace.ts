/** Which chunks of an image were used, in the order of their first use; shared by threads. */

const HEADER_WORDS = 1;

/** A trace in shared memory: a count, a mark for each chunk, and the chunks in order. */
export class AccessTrace {
  readonly words: Int32Array<SharedArrayBuffer>;
  readonly #chunkCount: number;

  constructor(words: Int32Array<SharedArrayBuffer>) {
    this.words = words;
    this.#chunkCount = (words.length - HEADER_WORDS) / 2;
  }

  /** A trace of nothing yet. */
  static of(chunkCount: number): AccessTrace {
    const byteCount = (HEADER_WORDS + 2 * chunkCount) * 4;
    return new AccessTrace(new Int32Array(new SharedArrayBuffer(byteCount)));
  }

  /** Notes the use of a chunk. */
  note(chunk: number): void {
    if (Atomics.exchange(this.words, HEADER_WORDS + chunk, 1) === 1) return;
    const position = Atomics.add(this.words, 0, 1);
    Atomics.store(this.words, HEADER_WORDS + this.#chunkCount + position, chunk);
  }

  /** The chunks used so far, first use first, without the first `skipped`. */
  chunks(skipped = 0): readonly number[] {
    const start = HEADER_WORDS + this.#chunkCount;
    return [...this.words.subarray(start + skipped, start + Atomics.load(this.words, 0))];
  }
}
