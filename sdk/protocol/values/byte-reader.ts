import { SerializationError } from "./serialization-error.ts";
import { TAG } from "./tags.ts";

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const UNITS_AT_ONCE = 4_096;

/** Reads bytes written by `ByteWriter`; every read is checked against the end. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #offset: number;

  constructor(bytes: Uint8Array, offset: number) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#offset = offset;
  }

  get remaining(): number {
    return this.#bytes.byteLength - this.#offset;
  }

  byte(): number {
    return this.#view.getUint8(this.#advance(1));
  }

  double(): number {
    return this.#view.getFloat64(this.#advance(8), true);
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

  /** A byte count and a copy of the bytes, in a buffer of their own. */
  bytes(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.#span());
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
    const start = this.#offset;
    if (byteCount > this.remaining) throw this.#cutShort();
    this.#offset += byteCount;
    return start;
  }

  #cutShort(): SerializationError {
    return new SerializationError("the payload is cut short");
  }
}

function utf16(bytes: Uint8Array): string {
  const units = new Uint16Array(bytes.slice().buffer);
  let text = "";
  for (let start = 0; start < units.length; start += UNITS_AT_ONCE) {
    text += String.fromCharCode(...units.subarray(start, start + UNITS_AT_ONCE));
  }
  return text;
}
