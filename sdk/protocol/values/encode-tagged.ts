/**
 * The tagged encoding: everything that structured clone carries, as `tags.ts` lays it out.
 *
 * Objects are numbered in the order in which they are first met, and one met again is written
 * as a reference, so shared objects stay shared and cycles end. Class instances travel as plain
 * objects of their own enumerable properties, as structured clone does it. Of a view only the
 * bytes it shows are sent, never the rest of the buffer under it. Named properties of arrays
 * are not sent.
 */
import { ByteWriter } from "./byte-writer.ts";
import { DTYPES, faultOf, type NdArray } from "./nd-array.ts";
import { formatPath, type PathSegment } from "./path.ts";
import { SerializationError } from "./serialization-error.ts";
import { DEPTH_MAX, ENCODING, TAG, VIEW_NAMES } from "./tags.ts";

/**
 * The payload of `value` in consecutive segments; large ones are the value's own memory.
 *
 * @throws SerializationError naming the path below `label`.
 */
export function encodeTagged(value: unknown, label: string): readonly Uint8Array[] {
  const writer = new TaggedWriter(label);
  try {
    writer.write(value);
  } catch (error) {
    if (error instanceof SerializationError) throw error;
    throw writer.failure("cannot be read", error);
  }
  return writer.out.segments();
}

type ObjectWriter = (writer: TaggedWriter, value: never) => void;

class TaggedWriter {
  readonly out = new ByteWriter();
  readonly #label: string;
  readonly #path: PathSegment[] = [];
  readonly #numbers = new Map<object, number>();

  constructor(label: string) {
    this.#label = label;
    this.out.byte(ENCODING.tagged);
  }

  failure(what: string, cause?: unknown): SerializationError {
    return new SerializationError(`${formatPath(this.#label, this.#path)} ${what}`, cause);
  }

  /** Writes a part of the value being written, found at `segment`. */
  writeAt(segment: PathSegment, value: unknown): void {
    this.#path.push(segment);
    this.write(value);
    this.#path.pop();
  }

  write(value: unknown): void {
    switch (typeof value) {
      case "undefined":
        this.out.byte(TAG.undefined);
        break;
      case "boolean":
        this.out.byte(value ? TAG.true : TAG.false);
        break;
      case "number":
        this.#writeNumber(value);
        break;
      case "string":
        this.out.text(value);
        break;
      case "bigint":
        this.#writeBigint(value);
        break;
      case "object":
        this.#writeNullable(value);
        break;
      default:
        throw this.failure(`is a ${typeof value}, which cannot be sent`);
    }
  }

  #writeNullable(value: object | null): void {
    if (value === null) this.out.byte(TAG.null);
    else this.#writeObject(value);
  }

  #writeNumber(value: number): void {
    if ((value | 0) === value && !Object.is(value, -0)) {
      this.out.byte(TAG.int);
      this.out.varint(((value << 1) ^ (value >> 31)) >>> 0);
      return;
    }
    this.out.byte(TAG.double);
    this.out.double(value);
  }

  #writeBigint(value: bigint): void {
    this.out.byte(TAG.bigint);
    this.out.byte(value < 0n ? 1 : 0);
    this.out.text((value < 0n ? -value : value).toString(16));
  }

  #writeObject(value: object): void {
    const number = this.#numbers.get(value);
    if (number !== undefined) {
      this.out.byte(TAG.reference);
      this.out.varint(number);
      return;
    }
    if (this.#path.length >= DEPTH_MAX) {
      throw new SerializationError(
        `${this.#label} nests deeper than ${DEPTH_MAX} levels, which cannot be sent`,
      );
    }
    this.#numbers.set(value, this.#numbers.size);
    const kind = ArrayBuffer.isView(value) ? "View" : kindOf(value);
    const writeKind = OBJECT_WRITERS.get(kind);
    if (writeKind === undefined) throw this.failure(`is a ${kind}, which cannot be sent`);
    writeKind(this, value as never);
  }
}

/** What an object is, whichever realm made it: `Object`, `Date`, `Promise`, ... */
function kindOf(value: object): string {
  if (Array.isArray(value)) return "Array";
  return Object.prototype.toString.call(value).slice("[object ".length, -1);
}

function writeArray(writer: TaggedWriter, items: readonly unknown[]): void {
  if (hasHole(items)) {
    writeSparseArray(writer, items);
    return;
  }
  writer.out.byte(TAG.array);
  writer.out.varint(items.length);
  for (let index = 0; index < items.length; index++) writer.writeAt(index, items[index]);
}

function hasHole(items: readonly unknown[]): boolean {
  for (let index = 0; index < items.length; index++) {
    if (items[index] === undefined && !(index in items)) return true;
  }
  return false;
}

function writeSparseArray(writer: TaggedWriter, items: readonly unknown[]): void {
  const indexes = Object.keys(items).map(Number).filter(Number.isInteger);
  writer.out.byte(TAG.sparseArray);
  writer.out.varint(items.length);
  writer.out.varint(indexes.length);
  for (const index of indexes) {
    writer.out.varint(index);
    writer.writeAt(index, items[index]);
  }
}

function writePlainObject(writer: TaggedWriter, value: Readonly<Record<string, unknown>>): void {
  const keys = Object.keys(value);
  writer.out.byte(TAG.object);
  writer.out.varint(keys.length);
  for (const key of keys) {
    writer.out.text(key);
    writer.writeAt(key, value[key]);
  }
}

function writeMap(writer: TaggedWriter, map: ReadonlyMap<unknown, unknown>): void {
  writer.out.byte(TAG.map);
  writer.out.varint(map.size);
  let position = 0;
  for (const [key, value] of map) {
    writer.writeAt({ text: `<key ${position}>` }, key);
    writer.writeAt(mapSegment(key, position), value);
    position++;
  }
}

function mapSegment(key: unknown, position: number): PathSegment {
  const isShort = typeof key === "string" || typeof key === "number";
  return { text: isShort ? `.get(${JSON.stringify(key)})` : `<value ${position}>` };
}

function writeSet(writer: TaggedWriter, set: ReadonlySet<unknown>): void {
  writer.out.byte(TAG.set);
  writer.out.varint(set.size);
  let position = 0;
  for (const item of set) writer.writeAt({ text: `<item ${position++}>` }, item);
}

function writeView(writer: TaggedWriter, view: ArrayBufferView): void {
  const name = view instanceof DataView ? "DataView" : kindOf(view);
  const kind = VIEW_NAMES.findIndex((known) => known === name);
  if (kind < 0) throw writer.failure(`is a ${name}, which cannot be sent`);
  writer.out.byte(TAG.view);
  writer.out.byte(kind);
  writer.out.bytes(new Uint8Array(view.buffer, view.byteOffset, view.byteLength));
}

function writeNdArray(writer: TaggedWriter, array: NdArray): void {
  const problem = faultOf(array);
  if (problem !== undefined) throw writer.failure(`cannot be sent: ${problem}`);
  const { data, shape, dtype } = array;
  writer.out.byte(TAG.ndArray);
  writer.out.byte(DTYPES.findIndex((known) => known.dtype === dtype));
  writer.out.varint(shape.length);
  for (const length of shape) writer.out.varint(length);
  writer.out.bytes(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
}

function writeError(writer: TaggedWriter, error: Error): void {
  writer.out.byte(TAG.error);
  writer.out.text(textOf(error.name));
  writer.out.text(textOf(error.message));
  writer.write(typeof error.stack === "string" ? error.stack : undefined);
  const hasCause = "cause" in error;
  writer.write(hasCause);
  if (hasCause) writer.writeAt("cause", error.cause);
  writer.writeAt("errors", error instanceof AggregateError ? error.errors : undefined);
}

/** Users may put anything into these fields, whatever their type says. */
function textOf(field: unknown): string {
  return typeof field === "string" ? field : "";
}

function writeBoxed(writer: TaggedWriter, boxed: { valueOf(): unknown }): void {
  writer.out.byte(TAG.boxed);
  writer.write(boxed.valueOf());
}

const OBJECT_WRITERS: ReadonlyMap<string, ObjectWriter> = new Map<string, ObjectWriter>([
  ["Object", writePlainObject],
  ["Arguments", writePlainObject],
  ["Array", writeArray],
  ["Map", writeMap],
  ["Set", writeSet],
  ["View", writeView],
  ["NdArray", writeNdArray],
  ["Error", writeError],
  ["DOMException", writeError],
  ["Boolean", writeBoxed],
  ["Number", writeBoxed],
  ["String", writeBoxed],
  ["BigInt", writeBoxed],
  [
    "Date",
    ({ out }: TaggedWriter, date: Date) => {
      out.byte(TAG.date);
      out.double(date.getTime());
    },
  ],
  [
    "RegExp",
    ({ out }: TaggedWriter, pattern: RegExp) => {
      out.byte(TAG.regexp);
      out.text(pattern.source);
      out.text(pattern.flags);
    },
  ],
  [
    "ArrayBuffer",
    ({ out }: TaggedWriter, buffer: ArrayBuffer) => {
      out.byte(TAG.arrayBuffer);
      out.bytes(new Uint8Array(buffer));
    },
  ],
  [
    "URL",
    ({ out }: TaggedWriter, url: URL) => {
      out.byte(TAG.url);
      out.text(url.href);
    },
  ],
]);
