/**
 * Bytes that come in pieces, put together as they come.
 *
 * Pieces that are kept until the last one make every large body cost twice its memory, and what
 * they leave behind is given back by collections of the whole heap, which cost more than all the
 * copying. So each piece is copied to its place at once and given back at once. Memory for a part
 * of a large payload is used again: fresh memory costs as much as what is done with it, and
 * growing by it makes the engine collect the whole heap.
 */

/** Allocated at first at most: a peer that announces much and sends nothing costs this. */
const FIRST_BYTES_MAX = 8 * 1024 * 1024;
const FIRST_BYTES_MIN = 4_096;
/** Below this a collection costs no more than giving back. */
const GIVEN_BACK_BYTES_MIN = 16 * 1024;
/** Memory that is used again: as much as a part of a large payload has. */
const KEPT_BYTES = 4 * 1024 * 1024;
/** What is smaller has memory of its own. */
const KEPT_FROM_BYTES = 1024 * 1024;
/** As many as are on their way at once; more are not kept. */
const KEPT_MAX = 8;

const kept: ArrayBuffer[] = [];
const lent = new WeakSet<ArrayBufferLike>();

export class GatheredBytes {
  readonly #expectedBytes: number;
  /** Whose memory it is: only its own is given back. */
  readonly #place: Uint8Array | undefined;
  #bytes: Uint8Array;
  #byteCount = 0;

  /**
   * @param expectedBytes How many will come, if that is known; it is no limit.
   * @param place Where they are put if it has room for just as many; nothing else uses it.
   */
  constructor(expectedBytes = 0, place?: Uint8Array) {
    this.#expectedBytes = expectedBytes;
    this.#place = place?.byteLength === expectedBytes ? place : undefined;
    this.#bytes = this.#place ?? new Uint8Array(Math.min(FIRST_BYTES_MAX, expectedBytes));
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
    if (this.#bytes !== this.#place) giveBack(this.#bytes);
    this.#bytes = grown;
  }
}

/**
 * Memory for a part of a large payload, to be given back by `giveBack` and not to outlive it: for
 * bytes that are passed on, never for a value. What is in it is anything at all, so that nothing
 * of it is to be read before it is written. Undefined for sizes that no such part has.
 */
export function keptMemory(byteCount: number): Uint8Array<ArrayBuffer> | undefined {
  if (byteCount < KEPT_FROM_BYTES || byteCount > KEPT_BYTES) return undefined;
  const buffer = kept.pop() ?? new ArrayBuffer(KEPT_BYTES);
  lent.add(buffer);
  return new Uint8Array(buffer, 0, byteCount);
}

/**
 * Frees memory that nobody reads any more, without waiting for a collection. What has memory in
 * common with something else, or is small, is left to collections.
 */
export function giveBack(bytes: Uint8Array): void {
  const { buffer, byteLength } = bytes;
  if (!(buffer instanceof ArrayBuffer)) return;
  const isLent = lent.delete(buffer);
  if (isLent && kept.length < KEPT_MAX) {
    // Under another name: whoever still has the old one finds nothing in it.
    kept.push(buffer.transfer());
    return;
  }
  const isWhole = byteLength >= GIVEN_BACK_BYTES_MIN && byteLength === buffer.byteLength;
  if (isLent || isWhole) buffer.transfer(0);
}
