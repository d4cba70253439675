/**
 * A chunk: up to `CHUNK_BYTES_MAX` bytes under the SHA-256 of what they are.
 *
 * Stores keep chunks encoded: one byte that names the codec (0 plain, 1 zstd), the length of
 * the bytes as u32 little endian, then the payload. The name is the hash of the bytes and not
 * of their encoding, so a chunk may be compressed anew without changing what refers to it.
 */
import { hash } from "node:crypto";
import { promisify } from "node:util";
import { constants, zstdCompress, zstdDecompressSync } from "node:zlib";
import { messageOf, PlatformError } from "../../core/index.ts";

/** SHA-256 of a chunk's bytes: 64 lower-case hexadecimal digits. */
export type ChunkId = string;

/** Most bytes of one chunk; a decoder allocates no more, whatever an encoding claims. */
export const CHUNK_BYTES_MAX = 4 * 1_024 * 1_024;
/** Bytes before the payload of an encoded chunk. */
export const ENCODING_HEADER_BYTES = 5;

const PLAIN = 0;
const ZSTD = 1;
/** Level 3 stores 6 % less and takes 1.4 times as long: docs/decisions/0013. */
const LEVEL = 1;
/** Below this a zstd frame saves nothing worth its decoding. */
const COMPRESSED_BYTES_MIN = 128;
const CHUNK_ID = /^[0-9a-f]{64}$/;
const compress = promisify(zstdCompress);

/** Whether a text is the name of a chunk. */
export function isChunkId(text: string): boolean {
  return CHUNK_ID.test(text);
}

/** The name of these bytes. */
export function chunkIdOf(bytes: Uint8Array): ChunkId {
  return hash("sha256", bytes, "hex");
}

/** The encoding of a chunk, compressed where that makes it smaller; on a thread of libuv's. */
export async function encodeChunk(bytes: Uint8Array): Promise<Uint8Array> {
  if (bytes.byteLength > CHUNK_BYTES_MAX) {
    throw new PlatformError(`a chunk of ${bytes.byteLength} bytes is too large to be stored`, {
      code: "payload_too_large",
      retryable: false,
      details: { byteCount: bytes.byteLength, byteCountMax: CHUNK_BYTES_MAX },
    });
  }
  if (bytes.byteLength < COMPRESSED_BYTES_MIN) return framed(PLAIN, bytes.byteLength, bytes);
  const params = { [constants.ZSTD_c_compressionLevel]: LEVEL };
  const compressed = await compress(bytes, { params });
  const isSmaller = compressed.byteLength < bytes.byteLength;
  return isSmaller
    ? framed(ZSTD, bytes.byteLength, compressed)
    : framed(PLAIN, bytes.byteLength, bytes);
}

function framed(codec: number, byteCount: number, payload: Uint8Array): Uint8Array {
  const encoded = Buffer.allocUnsafe(ENCODING_HEADER_BYTES + payload.byteLength);
  encoded[0] = codec;
  encoded.writeUInt32LE(byteCount, 1);
  encoded.set(payload, ENCODING_HEADER_BYTES);
  return encoded;
}

/**
 * The bytes of a chunk, verified against its name. A plain chunk's are a view of its encoding.
 *
 * @throws PlatformError `unavailable`, retryable, when the encoding is damaged: another copy
 *   may be whole.
 */
export function decodeChunk(id: ChunkId, encoded: Uint8Array): Uint8Array {
  const bytes = unpack(id, encoded);
  if (chunkIdOf(bytes) !== id) throw damaged(id, "its bytes have another hash");
  return bytes;
}

function unpack(id: ChunkId, encoded: Uint8Array): Uint8Array {
  if (encoded.byteLength < ENCODING_HEADER_BYTES) throw damaged(id, "its encoding is cut off");
  const view = new DataView(encoded.buffer, encoded.byteOffset, encoded.byteLength);
  const byteCount = view.getUint32(1, true);
  const payload = encoded.subarray(ENCODING_HEADER_BYTES);
  if (byteCount > CHUNK_BYTES_MAX) throw damaged(id, `it claims ${byteCount} bytes`);
  if (encoded[0] === PLAIN) return payload;
  if (encoded[0] !== ZSTD) throw damaged(id, `its codec is ${encoded[0]}`);
  try {
    return zstdDecompressSync(payload, { maxOutputLength: Math.max(1, byteCount) });
  } catch (error) {
    throw damaged(id, messageOf(error), error);
  }
}

function damaged(id: ChunkId, what: string, cause?: unknown): PlatformError {
  return new PlatformError(`chunk ${id} is damaged: ${what}`, {
    code: "unavailable",
    retryable: true,
    details: { chunkId: id },
    cause,
  });
}
