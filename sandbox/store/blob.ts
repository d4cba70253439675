/**
 * A blob: bytes of any size, cut into chunks, under the name of the chunk that lists them.
 *
 * The list is `FLTB`, u32 version, f64 length, then 32 bytes of hash for each piece of
 * `BLOB_PIECE_BYTES`, all little endian. Equal bytes give an equal name.
 */
import { PlatformError } from "../../core/index.ts";
import type { ChunkSource } from "./chunk-source.ts";
import type { ChunkStore } from "./chunk-store.ts";
import { chunkIdOf, encodeChunk, type ChunkId } from "./chunk.ts";

/** Bytes of every piece of a blob but its last. */
export const BLOB_PIECE_BYTES = 1_024 * 1_024;

const MAGIC = 0x42_54_4c_46;
const VERSION = 1;
const HEADER_BYTES = 16;
const HASH_BYTES = 32;
/** Pieces written or read at once. */
const PARALLEL = 4;

/** Stores a blob; gives its name. */
export async function putBlob(store: ChunkStore, bytes: Uint8Array): Promise<ChunkId> {
  const pieces: Uint8Array[] = [];
  for (let start = 0; start < bytes.byteLength; start += BLOB_PIECE_BYTES) {
    pieces.push(bytes.subarray(start, start + BLOB_PIECE_BYTES));
  }
  const ids = pieces.map(chunkIdOf);
  const known = await store.has(ids);
  const missing = [...new Set(ids)].filter((id) => !known.has(id));
  for (let start = 0; start < missing.length; start += PARALLEL) {
    await Promise.all(
      missing.slice(start, start + PARALLEL).map(async (id) => {
        const piece = pieces[ids.indexOf(id)] ?? new Uint8Array(0);
        await store.put(id, await encodeChunk(piece));
      }),
    );
  }
  const list = listOf(bytes.byteLength, ids);
  const blobId = chunkIdOf(list);
  // Last, so that a blob whose name is there is there as a whole.
  await store.put(blobId, await encodeChunk(list));
  return blobId;
}

function listOf(byteCount: number, ids: readonly ChunkId[]): Uint8Array {
  const list = Buffer.alloc(HEADER_BYTES + ids.length * HASH_BYTES);
  list.writeUInt32LE(MAGIC, 0);
  list.writeUInt32LE(VERSION, 4);
  list.writeDoubleLE(byteCount, 8);
  for (const [position, id] of ids.entries()) {
    list.write(id, HEADER_BYTES + position * HASH_BYTES, "hex");
  }
  return list;
}

/** The pieces of a blob, in order. */
export interface BlobPieces {
  readonly byteCount: number;
  readonly ids: readonly ChunkId[];
}

/** Reads which pieces a blob has. @throws PlatformError `invalid_request` when it is no blob */
export async function readBlobPieces(source: ChunkSource, blobId: ChunkId): Promise<BlobPieces> {
  const list = Buffer.from(await source.read(blobId));
  const isList =
    list.byteLength >= HEADER_BYTES &&
    list.readUInt32LE(0) === MAGIC &&
    list.readUInt32LE(4) === VERSION;
  const byteCount = isList ? list.readDoubleLE(8) : Number.NaN;
  const count = Math.ceil(byteCount / BLOB_PIECE_BYTES);
  if (!Number.isSafeInteger(byteCount) || byteCount < 0) throw noBlob(blobId);
  if (list.byteLength !== HEADER_BYTES + count * HASH_BYTES) throw noBlob(blobId);
  const ids = Array.from({ length: count }, (_, position) => {
    const start = HEADER_BYTES + position * HASH_BYTES;
    return list.toString("hex", start, start + HASH_BYTES);
  });
  return { byteCount, ids };
}

/**
 * The bytes of a blob in memory that threads may share.
 *
 * @throws PlatformError `not_found`, `unavailable` as the source does; `invalid_request` when
 *   the chunk of that name lists no blob, or it has more than `byteCountMax` bytes
 */
export async function readBlob(
  source: ChunkSource,
  blobId: ChunkId,
  byteCountMax = Infinity,
): Promise<Uint8Array<SharedArrayBuffer>> {
  const { byteCount, ids } = await readBlobPieces(source, blobId);
  if (byteCount > byteCountMax) throw noBlob(blobId);
  const bytes = new Uint8Array(new SharedArrayBuffer(byteCount));
  const readOne = async (position: number): Promise<void> => {
    const id = ids[position];
    if (id === undefined) return;
    const piece = await source.read(id);
    const start = position * BLOB_PIECE_BYTES;
    if (piece.byteLength !== Math.min(BLOB_PIECE_BYTES, byteCount - start)) throw noBlob(blobId);
    bytes.set(piece, start);
    await readOne(position + PARALLEL);
  };
  await Promise.all(Array.from({ length: PARALLEL }, (_, lane) => readOne(lane)));
  return bytes;
}

function noBlob(blobId: ChunkId): PlatformError {
  return new PlatformError(`chunk ${blobId} does not list a blob`, {
    code: "invalid_request",
    retryable: false,
    details: { blobId },
  });
}
