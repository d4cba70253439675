/**
 * Values to bytes and back: arguments and results.
 *
 * The first byte says how the rest is encoded. What JSON carries without loss is JSON (1), at
 * about the cost of `JSON.stringify`; all else that structured clone knows is a compact tagged
 * form (2) with raw bytes for buffers. Both ends treat payloads as untrusted. A payload that is
 * too large to travel in one piece is named by a reference (3): see large-payload.ts.
 */
import { decodeTagged } from "./values/decode-tagged.ts";
import { encodeTagged } from "./values/encode-tagged.ts";
import { NdArray, type NdArrayData, type NdArrayDtype } from "./values/nd-array.ts";
import { isPlainJson } from "./values/plain-json.ts";
import { SerializationError } from "./values/serialization-error.ts";
import { DEPTH_MAX, ENCODING } from "./values/tags.ts";

export { NdArray, SerializationError, type NdArrayData, type NdArrayDtype };

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const JSON_MARK = String.fromCharCode(ENCODING.json);

/**
 * The payload of a value: anything structured clone takes, class instances as plain objects.
 *
 * @param label What the value is called in messages, such as `args`.
 * @throws SerializationError `args[0].cb is a function, which cannot be sent`.
 */
export function encodeValue(value: unknown, label = "value"): Uint8Array {
  return joinSegments(encodeSegments(value, label));
}

/**
 * The same payload in consecutive segments, so that nothing large is copied: large blocks of
 * bytes are the value's own memory and must not change before they are sent.
 *
 * @throws as `encodeValue`.
 */
export function encodeSegments(value: unknown, label = "value"): readonly Uint8Array[] {
  return isPlainJson(value)
    ? [encoder.encode(JSON_MARK + JSON.stringify(value))]
    : encodeTagged(value, label);
}

/** The value of a payload. @throws SerializationError on bytes that `encodeValue` never made. */
export function decodeValue(bytes: Uint8Array): unknown {
  return decodeSegments([bytes]);
}

/**
 * The value of a payload in the segments that `encodeSegments` gave. Large blocks of bytes are
 * not copied: the value has the segments' memory.
 *
 * @throws as `decodeValue`.
 */
export function decodeSegments(segments: readonly Uint8Array[]): unknown {
  const [first = new Uint8Array(0)] = segments;
  const encoding = first[0];
  try {
    if (encoding === ENCODING.json) return decodeJson(joinSegments(segments).subarray(1));
    if (encoding === ENCODING.tagged) return decodeTagged(segments);
  } catch (error) {
    if (error instanceof SerializationError) throw error;
    throw new SerializationError("the payload is broken", error);
  }
  if (encoding === ENCODING.reference) {
    throw new SerializationError("the payload is kept as blobs, which were not fetched");
  }
  throw new SerializationError(
    encoding === undefined
      ? "the payload is empty"
      : `the payload's encoding ${encoding} is unknown; is one side of another version?`,
  );
}

/** The payload that segments are; a single one is not copied. */
export function joinSegments(segments: readonly Uint8Array[]): Uint8Array {
  const [only] = segments;
  if (segments.length === 1 && only !== undefined) return only;
  const bytes = new Uint8Array(segments.reduce((sum, { byteLength }) => sum + byteLength, 0));
  let offset = 0;
  for (const segment of segments) {
    bytes.set(segment, offset);
    offset += segment.byteLength;
  }
  return bytes;
}

function decodeJson(json: Uint8Array): unknown {
  if (json.byteLength > DEPTH_MAX * 2 && isTooDeep(json)) {
    throw new SerializationError(`the payload nests deeper than ${DEPTH_MAX} levels`);
  }
  return JSON.parse(decoder.decode(json));
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
/** `[` and `{` differ in this bit only, and so do `]` and `}`. */
const CURLY_BIT = 0x20;
const OPEN = 0x7b;
const CLOSE = 0x7d;

function isTooDeep(json: Uint8Array): boolean {
  let depth = 0;
  let inText = false;
  for (let index = 0; index < json.byteLength; index++) {
    const byte = json[index] ?? 0;
    if (inText) {
      if (byte === BACKSLASH) index++;
      else if (byte === QUOTE) inText = false;
    } else if (byte === QUOTE) {
      inText = true;
    } else if ((byte | CURLY_BIT) === OPEN) {
      if (++depth > DEPTH_MAX) return true;
    } else if ((byte | CURLY_BIT) === CLOSE) {
      depth--;
    }
  }
  return false;
}
