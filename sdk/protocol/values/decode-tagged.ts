/**
 * Reads what `encode-tagged.ts` wrote. Bytes are not trusted: counts are checked against what
 * is left, depth is bounded, properties are defined and never assigned (so `__proto__` is a
 * name like any other), and nothing of the payload is called.
 */
import { ByteReader } from "./byte-reader.ts";
import { DIMENSIONS_MAX, DTYPES, NdArray, type NdArrayData } from "./nd-array.ts";
import { SerializationError } from "./serialization-error.ts";
import { DEPTH_MAX, TAG, VIEW_NAMES } from "./tags.ts";

/**
 * The value behind the encoding byte, of a payload in segments. A block of bytes that is all of
 * a segment is not copied, if the segment is all of its buffer.
 *
 * @throws SerializationError on bytes that are no value.
 */
export function decodeTagged(segments: readonly Uint8Array[]): unknown {
  const reader = new TaggedReader(new ByteReader(segments, 1));
  const value = reader.read();
  if (reader.input.remaining > 0) {
    throw new SerializationError(`the payload goes on for ${reader.input.remaining} bytes`);
  }
  return value;
}

class TaggedReader {
  readonly input: ByteReader;
  readonly #objects: object[] = [];
  #depth = 0;

  constructor(input: ByteReader) {
    this.input = input;
  }

  /** Gives `object` its number; to be called before its parts are read. */
  register<T extends object>(object: T): T {
    this.#objects.push(object);
    return object;
  }

  referenced(): object {
    const number = this.input.varint();
    const object = this.#objects[number];
    if (object === undefined) {
      throw new SerializationError(`the payload refers to object ${number}, which is not there`);
    }
    return object;
  }

  read(): unknown {
    const tag = this.input.byte();
    const readTag = READERS[tag];
    if (readTag === undefined) {
      throw new SerializationError(`the payload has the unknown tag ${tag}`);
    }
    if (++this.#depth > DEPTH_MAX + 2) {
      throw new SerializationError(`the payload nests deeper than ${DEPTH_MAX} levels`);
    }
    const value = readTag(this, tag);
    this.#depth--;
    return value;
  }
}

type TagReader = (reader: TaggedReader, tag: number) => unknown;

function readInt({ input }: TaggedReader): number {
  const coded = input.varint();
  return (coded >>> 1) ^ -(coded & 1);
}

function readBigint({ input }: TaggedReader): bigint {
  const isNegative = input.byte() === 1;
  const magnitude = BigInt(`0x${input.text()}`);
  return isNegative ? -magnitude : magnitude;
}

function readArray(reader: TaggedReader): unknown[] {
  const length = reader.input.count();
  const items = reader.register<unknown[]>([]);
  for (let index = 0; index < length; index++) items.push(reader.read());
  return items;
}

function readSparseArray(reader: TaggedReader): unknown[] {
  const length = reader.input.varint();
  const count = reader.input.count(2);
  const items = reader.register<unknown[]>([]);
  items.length = length;
  for (let read = 0; read < count; read++) {
    const index = reader.input.varint();
    if (index >= length) throw new SerializationError(`index ${index} of ${length} is too large`);
    items[index] = reader.read();
  }
  return items;
}

function readObject(reader: TaggedReader): object {
  const count = reader.input.count(3);
  const object = reader.register<Record<string, unknown>>({});
  for (let read = 0; read < count; read++) {
    const key = reader.input.text();
    const value = reader.read();
    if (key === "__proto__") defineOwn(object, key, value, true);
    else object[key] = value;
  }
  return object;
}

function readMap(reader: TaggedReader): Map<unknown, unknown> {
  const count = reader.input.count(2);
  const map = reader.register(new Map<unknown, unknown>());
  for (let read = 0; read < count; read++) {
    const key = reader.read();
    map.set(key, reader.read());
  }
  return map;
}

function readSet(reader: TaggedReader): Set<unknown> {
  const count = reader.input.count();
  const set = reader.register(new Set());
  for (let read = 0; read < count; read++) set.add(reader.read());
  return set;
}

function readView(reader: TaggedReader): ArrayBufferView {
  const kind = reader.input.byte();
  return reader.register(viewOf(VIEW_NAMES[kind], kind, reader.input.bytes()));
}

function readNdArray(reader: TaggedReader): NdArray {
  const kind = reader.input.byte();
  const known = DTYPES[kind];
  const dimensions = reader.input.count();
  if (known === undefined || dimensions > DIMENSIONS_MAX) {
    throw new SerializationError(`the payload has an array of type ${kind}, ${dimensions} deep`);
  }
  const shape = Array.from({ length: dimensions }, () => reader.input.varint());
  const data = viewOf(known.view, kind, reader.input.bytes()) as NdArrayData;
  return reader.register(new NdArray(data, shape, known.dtype));
}

function viewOf(
  name: string | undefined,
  kind: number,
  { buffer, byteLength }: Uint8Array<ArrayBuffer>,
): ArrayBufferView {
  const constructors = globalThis as unknown as Readonly<
    Record<string, ViewConstructor | undefined>
  >;
  const View = name === undefined ? undefined : constructors[name];
  if (View === undefined) {
    throw new SerializationError(`the payload has a view ${name ?? kind} that this runtime lacks`);
  }
  if (byteLength % (View.BYTES_PER_ELEMENT ?? 1) !== 0) {
    throw new SerializationError(`the payload has a ${View.name} of ${byteLength} bytes`);
  }
  return new View(buffer);
}

interface ViewConstructor {
  new (buffer: ArrayBuffer): ArrayBufferView;
  readonly name: string;
  readonly BYTES_PER_ELEMENT?: number;
}

const STANDARD_ERRORS: ReadonlyMap<string, new (message: string) => Error> = new Map(
  [EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError].map((standard) => [
    standard.name,
    standard,
  ]),
);

function readError(reader: TaggedReader): Error {
  const name = reader.input.text();
  const message = reader.input.text();
  const error = reader.register(newError(name, message));
  if (error.name !== name) defineOwn(error, "name", name, false);
  const stack = reader.read();
  defineOwn(error, "stack", typeof stack === "string" ? stack : undefined, false);
  if (reader.read() === true) defineOwn(error, "cause", reader.read(), false);
  const errors = reader.read();
  if (Array.isArray(errors)) defineOwn(error, "errors", errors, false);
  return error;
}

function newError(name: string, message: string): Error {
  if (name === "AggregateError") return new AggregateError([], message);
  return new (STANDARD_ERRORS.get(name) ?? Error)(message);
}

function readBoxed(reader: TaggedReader): object {
  const value = reader.read();
  if (typeof value === "object" || value === undefined) {
    throw new SerializationError("the payload has a wrapper of no primitive value");
  }
  return reader.register(Object(value) as object);
}

function defineOwn(object: object, key: string, value: unknown, enumerable: boolean): void {
  Object.defineProperty(object, key, { value, enumerable, writable: true, configurable: true });
}

const READERS: Readonly<Record<number, TagReader | undefined>> = {
  [TAG.null]: () => null,
  [TAG.undefined]: () => undefined,
  [TAG.true]: () => true,
  [TAG.false]: () => false,
  [TAG.int]: readInt,
  [TAG.double]: ({ input }) => input.double(),
  [TAG.text]: ({ input }, tag) => input.textOf(tag),
  [TAG.text16]: ({ input }, tag) => input.textOf(tag),
  [TAG.bigint]: readBigint,
  [TAG.date]: (reader) => reader.register(new Date(reader.input.double())),
  [TAG.regexp]: (reader) => reader.register(new RegExp(reader.input.text(), reader.input.text())),
  [TAG.array]: readArray,
  [TAG.sparseArray]: readSparseArray,
  [TAG.object]: readObject,
  [TAG.map]: readMap,
  [TAG.set]: readSet,
  [TAG.arrayBuffer]: (reader) => reader.register(reader.input.bytes().buffer),
  [TAG.view]: readView,
  [TAG.ndArray]: readNdArray,
  [TAG.error]: readError,
  [TAG.reference]: (reader) => reader.referenced(),
  [TAG.boxed]: readBoxed,
  [TAG.url]: (reader) => reader.register(new URL(reader.input.text())),
};
