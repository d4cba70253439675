import { TAG } from "./tags.ts";

const encoder = new TextEncoder();
const START_BYTES = 256;
/** Bytes from this size on are not copied into the run but stand beside it. */
const SEGMENT_BYTES_MIN = 256 * 1024;
/** Most segments; what is large beyond is copied. */
const SEGMENTS_MAX = 1_024;

/** A growing run of bytes; doubling keeps the cost linear. */
export class ByteWriter {
  #bytes = new Uint8Array(START_BYTES);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;
  readonly #segments: Uint8Array[] = [];

  /**
   * What was written, in consecutive segments, at most 1,024. Large blocks of bytes are segments
   * of their own and the very memory that was given: it must not change before it is sent.
   */
  segments(): readonly Uint8Array[] {
    if (this.#length > 0 || this.#segments.length === 0) this.#endSegment();
    return this.#segments;
  }

  byte(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#length++] = value;
  }

  double(value: number): void {
    this.#reserve(8);
    this.#view.setFloat64(this.#length, value, true);
    this.#length += 8;
  }

  /** A whole number from 0 to 2^53 - 1, seven bits a byte, low bits first. */
  varint(value: number): void {
    this.#reserve(8);
    let rest = value;
    while (rest >= 0x80) {
      this.#bytes[this.#length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#bytes[this.#length++] = rest;
  }

  /** A byte count and the bytes. */
  bytes(value: Uint8Array): void {
    this.varint(value.byteLength);
    if (value.byteLength >= SEGMENT_BYTES_MIN && this.#segments.length < SEGMENTS_MAX - 2) {
      this.#endSegment();
      this.#segments.push(value);
      return;
    }
    this.#reserve(value.byteLength);
    this.#bytes.set(value, this.#length);
    this.#length += value.byteLength;
  }

  /** A tagged text; UTF-8 unless it holds half of a surrogate pair, which UTF-8 cannot. */
  text(value: string): void {
    if (value.isWellFormed()) {
      this.byte(TAG.text);
      this.#utf8(value);
      return;
    }
    this.byte(TAG.text16);
    this.varint(value.length * 2);
    this.#reserve(value.length * 2);
    for (let index = 0; index < value.length; index++) {
      this.#view.setUint16(this.#length, value.charCodeAt(index), true);
      this.#length += 2;
    }
  }

  #utf8(value: string): void {
    // Below 43 characters the byte count fits one varint byte whatever the characters are.
    if (value.length * 3 < 0x80) {
      this.#reserve(1 + value.length * 3);
      const { written } = encoder.encodeInto(value, this.#bytes.subarray(this.#length + 1));
      this.#bytes[this.#length] = written;
      this.#length += 1 + written;
      return;
    }
    this.bytes(encoder.encode(value));
  }

  #endSegment(): void {
    this.#segments.push(this.#bytes.slice(0, this.#length));
    this.#length = 0;
  }

  #reserve(extraBytes: number): void {
    const needed = this.#length + extraBytes;
    if (needed <= this.#bytes.byteLength) return;
    const grown = new Uint8Array(Math.max(needed, this.#bytes.byteLength * 2));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }
}
