/**
 * Bytes that come in pieces, put together as they come.
 *
 * Pieces that are kept until the last one make every large body cost twice its memory, and what
 * they leave behind is given back by collections of the whole heap, which cost more than all the
 * copying. So each piece is copied to its place at once and given back at once.
 */

/** Allocated at first at most: a peer that announces much and sends nothing costs this. */
const FIRST_BYTES_MAX = 8 * 1024 * 1024;
const FIRST_BYTES_MIN = 4_096;
/** Below this a collection costs no more than giving back. */
const GIVEN_BACK_BYTES_MIN = 16 * 1024;

export class GatheredBytes {
  readonly #expectedBytes: number;
  #bytes: Uint8Array;
  #byteCount = 0;

  /** @param expectedBytes How many will come, if that is known; it is no limit. */
  constructor(expectedBytes = 0) {
    this.#expectedBytes = expectedBytes;
    this.#bytes = new Uint8Array(Math.min(FIRST_BYTES_MAX, expectedBytes));
  }

  /** Bytes so far. */
  get byteCount(): number {
    return this.#byteCount;
  }

  /** Takes a copy of a piece. */
  add(piece: Uint8Array): void {
    const end = this.#byteCount + piece.byteLength;
    if (end > this.#bytes.byteLength) this.#grow(end);
    this.#bytes.set(piece, this.#byteCount);
    this.#byteCount = end;
  }

  /** All that came; to be called once. */
  take(): Uint8Array {
    const bytes = this.#bytes;
    return this.#byteCount === bytes.byteLength ? bytes : bytes.subarray(0, this.#byteCount);
  }

  #grow(neededBytes: number): void {
    // Doubled, so that many small pieces cost few copies, but not beyond what is expected.
    const doubled = Math.max(FIRST_BYTES_MIN, this.#bytes.byteLength * 2);
    const isLast = neededBytes <= this.#expectedBytes && doubled > this.#expectedBytes;
    const grown = new Uint8Array(Math.max(neededBytes, isLast ? this.#expectedBytes : doubled));
    grown.set(this.#bytes.subarray(0, this.#byteCount));
    giveBack(this.#bytes);
    this.#bytes = grown;
  }
}

/**
 * Frees memory that nobody reads any more, without waiting for a collection. What has memory in
 * common with something else, or is small, is left to collections.
 */
export function giveBack(bytes: Uint8Array): void {
  const { buffer, byteLength } = bytes;
  if (byteLength < GIVEN_BACK_BYTES_MIN || byteLength !== buffer.byteLength) return;
  if (buffer instanceof ArrayBuffer) buffer.transfer(0);
}
