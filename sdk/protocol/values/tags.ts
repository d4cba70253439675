/** The bytes that say what follows. They are the wire format: never renumber, only add. */

/** First byte of every payload: how the rest is encoded. */
export const ENCODING = { json: 1, tagged: 2, reference: 3 } as const;

/** How deep values may nest, both ways; keeps recursion far from the end of the stack. */
export const DEPTH_MAX = 1_000;

export const TAG = {
  null: 0,
  undefined: 1,
  true: 2,
  false: 3,
  /** Varint of (n << 1) ^ (n >> 31), for whole numbers of 32 bits. */
  int: 4,
  /** 8 bytes, little endian. */
  double: 5,
  /** Varint byte count, UTF-8. */
  text: 6,
  /** Varint byte count, UTF-16 little endian: text with lone surrogates. */
  text16: 7,
  /** A sign byte (1 is negative) and hexadecimal text. */
  bigint: 8,
  /** A double: milliseconds since 1970. */
  date: 9,
  /** Source and flags, both text. */
  regexp: 10,
  /** Varint length, then the elements. */
  array: 11,
  /** Varint length, varint count, then pairs of varint index and element. */
  sparseArray: 12,
  /** Varint count, then pairs of text and value. */
  object: 13,
  /** Varint count, then pairs of key and value. */
  map: 14,
  /** Varint count, then the items. */
  set: 15,
  /** Varint byte count, raw bytes. */
  arrayBuffer: 16,
  /** A kind byte (index in `VIEW_NAMES`), varint byte count, raw bytes. */
  view: 17,
  /** Name, message, then stack, cause and (of an AggregateError) errors as values. */
  error: 18,
  /** Varint number of an object that came before, counted from 0. */
  reference: 19,
  /** A primitive value in its wrapper object. */
  boxed: 20,
  /** Text of the address. */
  url: 21,
  /**
   * A dtype byte (index in `DTYPES`), varint count of dimensions, a varint for each, varint byte
   * count, raw bytes in C order, little endian.
   */
  ndArray: 22,
} as const;

/** Views over bytes; the position in the list is the kind byte. */
export const VIEW_NAMES = [
  "Uint8Array",
  "Int8Array",
  "Uint8ClampedArray",
  "Int16Array",
  "Uint16Array",
  "Int32Array",
  "Uint32Array",
  "Float32Array",
  "Float64Array",
  "BigInt64Array",
  "BigUint64Array",
  "DataView",
  "Float16Array",
] as const;
