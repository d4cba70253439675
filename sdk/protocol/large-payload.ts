/**
 * Payloads that are too large for a frame: kept as blobs, and named by a small payload.
 *
 *     3           the encoding: a reference
 *     varint      bytes of each chunk but the last
 *     varint      count of segments, then a varint for the bytes of each
 *     32 bytes    the SHA-256 of each chunk, in order
 *
 * The segments are those of `encodeSegments`: one after the other they are the payload. The
 * chunks are that run of bytes cut anew, each a blob. So a large payload moves a chunk at a time
 * over the requests that move blobs, of which each can be sent again, and is in memory once: each
 * segment in a buffer of its own, which the value then keeps.
 *
 * A reference that nobody has checked may say anything: its sizes must agree, and nothing is
 * allocated before they are known to be within the limit.
 */
import { LARGE_PAYLOAD_BYTES_MAX } from "./api.ts";
import { ByteReader } from "./values/byte-reader.ts";
import { ByteWriter } from "./values/byte-writer.ts";
import { giveBack } from "./gathered-bytes.ts";
import { joinSegments } from "./values.ts";
import { SerializationError } from "./values/serialization-error.ts";
import { ENCODING } from "./values/tags.ts";

/** Where chunks are kept: the server's blobs, reached from a client or from a container. */
export interface ChunkStore {
  /** Keeps bytes, and gives the SHA-256 (hexadecimal) that names them; again changes nothing. */
  put(bytes: Uint8Array, signal?: AbortSignal): Promise<string>;
  /**
   * The bytes of a hash: in `place`, if the store puts them there and they are as many as it has,
   * or in memory that is the caller's own. Rejects when they are not there; then `place` may hold
   * a part of them.
   */
  get(sha256: string, signal?: AbortSignal, place?: Uint8Array): Promise<Uint8Array>;
}

/** Bytes of a chunk: large enough that a request for each costs little. */
const CHUNK_BYTES = 4 * 1024 * 1024;
/** Smallest chunk that is read: a reference stays small whatever it says. */
const CHUNK_BYTES_MIN = 1024 * 1024;
/** Largest chunk that is read: what one blob may have. */
const CHUNK_BYTES_MAX = 64 * 1024 * 1024;
const SEGMENTS_MAX = 1_024;
const HASH_BYTES = 32;
/** Chunks on their way at once. */
const CHUNKS_AT_ONCE = 4;

/** Whether a payload is the reference to a large one. */
export function isReference(payload: Uint8Array): boolean {
  return payload[0] === ENCODING.reference;
}

/**
 * Keeps a payload as blobs and gives the reference to it. Takes at most four chunks of
 * memory beside the segments, which must not change meanwhile.
 *
 * @throws what the store throws, or the signal's reason.
 */
export async function storeSegments(
  segments: readonly Uint8Array[],
  store: ChunkStore,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  const totalBytes = sumOf(segments.map(({ byteLength }) => byteLength));
  const hashes = new Uint8Array(Math.ceil(totalBytes / CHUNK_BYTES) * HASH_BYTES);
  await eachChunk(totalBytes, CHUNK_BYTES, async (position, from, to) => {
    signal?.throwIfAborted();
    const parts = partsOf(segments, from, to).map(({ bytes }) => bytes);
    const sha256 = await store.put(joinSegments(parts), signal);
    hashes.set(bytesOfHex(sha256), position * HASH_BYTES);
  });
  const writer = new ByteWriter();
  writer.byte(ENCODING.reference);
  writer.varint(CHUNK_BYTES);
  writer.varint(segments.length);
  for (const { byteLength } of segments) writer.varint(byteLength);
  for (const byte of hashes) writer.byte(byte);
  const [reference = hashes] = writer.segments();
  return reference;
}

/**
 * The segments of the payload that a reference names, for `decodeSegments`.
 *
 * @throws SerializationError for bytes that are no reference; what the store throws.
 */
export async function loadReference(
  payload: Uint8Array,
  store: ChunkStore,
  signal?: AbortSignal,
): Promise<readonly Uint8Array[]> {
  const { chunkBytes, sizes, totalBytes, hashes } = parse(payload);
  const segments = sizes.map((size) => new Uint8Array(size));
  await eachChunk(totalBytes, chunkBytes, async (position, from, to) => {
    signal?.throwIfAborted();
    const hash = hashes.subarray(position * HASH_BYTES, (position + 1) * HASH_BYTES);
    const parts = partsOf(segments, from, to);
    // Most chunks are within one segment, and come to where they stay.
    const place = parts.length === 1 ? parts[0]?.bytes : undefined;
    const chunk = await store.get(hexOfBytes(hash), signal, place);
    if (chunk.byteLength !== to - from) {
      throw broken(`a chunk has ${chunk.byteLength} bytes instead of ${to - from}`);
    }
    if (chunk === place) return;
    for (const { bytes, at } of parts) {
      bytes.set(chunk.subarray(at - from, at - from + bytes.byteLength));
    }
    giveBack(chunk);
  });
  return segments;
}

/**
 * The SHA-256 (hexadecimal) of each blob that a payload names, in order; none when it is no
 * reference, or a broken one.
 */
export function namedChunks(payload: Uint8Array): readonly string[] {
  if (!isReference(payload)) return [];
  try {
    const { hashes } = parse(payload);
    return Array.from({ length: hashes.byteLength / HASH_BYTES }, (_, position) =>
      hexOfBytes(hashes.subarray(position * HASH_BYTES, (position + 1) * HASH_BYTES)),
    );
  } catch (error) {
    // Whoever reads it is told what is wrong with it.
    if (error instanceof SerializationError) return [];
    throw error;
  }
}

interface Reference {
  readonly chunkBytes: number;
  readonly sizes: readonly number[];
  readonly totalBytes: number;
  readonly hashes: Uint8Array;
}

function parse(payload: Uint8Array): Reference {
  const reader = new ByteReader([payload], 1);
  const chunkBytes = reader.varint();
  const segmentCount = reader.count();
  if (chunkBytes < CHUNK_BYTES_MIN || chunkBytes > CHUNK_BYTES_MAX || segmentCount > SEGMENTS_MAX) {
    throw broken(`it has chunks of ${chunkBytes} bytes and ${segmentCount} segments`);
  }
  const sizes = Array.from({ length: segmentCount }, () => reader.varint());
  const totalBytes = sumOf(sizes);
  if (totalBytes > LARGE_PAYLOAD_BYTES_MAX) throw broken(`it has ${totalBytes} bytes`);
  const hashBytes = Math.ceil(totalBytes / chunkBytes) * HASH_BYTES;
  if (reader.remaining !== hashBytes) {
    throw broken(`it names ${reader.remaining / HASH_BYTES} chunks for ${totalBytes} bytes`);
  }
  return {
    chunkBytes,
    sizes,
    totalBytes,
    hashes: payload.subarray(payload.byteLength - hashBytes),
  };
}

function broken(how: string): SerializationError {
  return new SerializationError(`the reference to a large payload is broken: ${how}`);
}

type ChunkWork = (position: number, from: number, to: number) => Promise<void>;

/** Works on a few chunks at once, in order; the first failure is thrown, and no chunk begins after it. */
async function eachChunk(totalBytes: number, chunkBytes: number, work: ChunkWork): Promise<void> {
  const count = Math.ceil(totalBytes / chunkBytes);
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let position = next++; position < count; position = next++) {
      const from = position * chunkBytes;
      try {
        await work(position, from, Math.min(totalBytes, from + chunkBytes));
      } catch (error) {
        next = count;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: CHUNKS_AT_ONCE }, lane));
}

interface Part {
  /** A view of the segment. */
  readonly bytes: Uint8Array;
  /** Where in the payload it begins. */
  readonly at: number;
}

/** What of the segments lies between two positions of the payload. */
function partsOf(segments: readonly Uint8Array[], from: number, to: number): readonly Part[] {
  const parts: Part[] = [];
  let start = 0;
  for (const segment of segments) {
    const end = start + segment.byteLength;
    const at = Math.max(from, start);
    if (at < Math.min(to, end)) {
      parts.push({ bytes: segment.subarray(at - start, Math.min(to, end) - start), at });
    }
    start = end;
  }
  return parts;
}

function sumOf(sizes: readonly number[]): number {
  return sizes.reduce((sum, size) => sum + size, 0);
}

function bytesOfHex(hex: string): Uint8Array {
  return Uint8Array.from({ length: HASH_BYTES }, (_, index) =>
    Number.parseInt(hex.slice(index * 2, index * 2 + 2), 16),
  );
}

function hexOfBytes(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
