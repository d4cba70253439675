import { SerializationError } from "./serialization-error.ts";
import { TAG } from "./tags.ts";

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const UNITS_AT_ONCE = 4_096;

/**
 * Reads bytes written by `ByteWriter`; every read is checked against the end. They may come in
 * segments, which no single thing goes across.
 */
export class ByteReader {
  readonly #segments: readonly Uint8Array[];
  #position = 0;
  #bytes: Uint8Array;
  #view: DataView;
  #offset: number;
  /** Bytes of the segments after the present one. */
  #laterBytes: number;

  constructor(segments: readonly Uint8Array[], offset: number) {
    this.#segments = segments;
    this.#bytes = segments[0] ?? new Uint8Array(0);
    this.#view = viewOf(this.#bytes);
    this.#offset = offset;
    const total = segments.reduce((sum, segment) => sum + segment.byteLength, 0);
    this.#laterBytes = total - this.#bytes.byteLength;
  }

  get remaining(): number {
    return this.#bytes.byteLength - this.#offset + this.#laterBytes;
  }

  byte(): number {
    const start = this.#advance(1);
    return this.#view.getUint8(start);
  }

  double(): number {
    const start = this.#advance(8);
    return this.#view.getFloat64(start, true);
  }

  /** A whole number from 0 to 2^53 - 1. */
  varint(): number {
    let value = 0;
    for (let scale = 1; scale <= 2 ** 49; scale *= 0x80) {
      const next = this.byte();
      value += (next & 0x7f) * scale;
      if (next < 0x80 && value <= Number.MAX_SAFE_INTEGER) return value;
    }
    throw new SerializationError("the payload has a number that is too large");
  }

  /** How many items follow, of at least `bytesEach`; refused when they cannot fit the rest. */
  count(bytesEach = 1): number {
    const count = this.varint();
    if (count * bytesEach > this.remaining) throw this.#cutShort();
    return count;
  }

  /** A byte count and the bytes, in a buffer of their own; copied unless they are a segment. */
  bytes(): Uint8Array<ArrayBuffer> {
    const span = this.#span();
    return isWhole(span) ? span : new Uint8Array(span);
  }

  /** A tagged text. */
  text(): string {
    return this.textOf(this.byte());
  }

  /** The text whose tag was just read. */
  textOf(tag: number): string {
    if (tag === TAG.text) return utf8.decode(this.#span());
    if (tag === TAG.text16) return utf16(this.#span());
    throw new SerializationError(`the payload has tag ${tag} where a text should be`);
  }

  #span(): Uint8Array {
    const byteCount = this.varint();
    const start = this.#advance(byteCount);
    return this.#bytes.subarray(start, start + byteCount);
  }

  #advance(byteCount: number): number {
    if (this.#offset === this.#bytes.byteLength) this.#nextSegment();
    const start = this.#offset;
    if (byteCount > this.#bytes.byteLength - start) throw this.#cutShort();
    this.#offset += byteCount;
    return start;
  }

  #nextSegment(): void {
    const next = this.#segments[this.#position + 1];
    if (next === undefined) return;
    this.#position += 1;
    this.#bytes = next;
    this.#view = viewOf(next);
    this.#offset = 0;
    this.#laterBytes -= next.byteLength;
  }

  #cutShort(): SerializationError {
    return new SerializationError("the payload is cut short");
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Whether the bytes are all of their buffer, so that nobody else has a part of it. */
function isWhole(bytes: Uint8Array): bytes is Uint8Array<ArrayBuffer> {
  const { buffer, byteLength } = bytes;
  return buffer instanceof ArrayBuffer && byteLength > 0 && byteLength === buffer.byteLength;
}

function utf16(bytes: Uint8Array): string {
  const units = new Uint16Array(bytes.slice().buffer);
  let text = "";
  for (let start = 0; start < units.length; start += UNITS_AT_ONCE) {
    text += String.fromCharCode(...units.subarray(start, start + UNITS_AT_ONCE));
  }
  return text;
}
