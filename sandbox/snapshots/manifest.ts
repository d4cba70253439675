/** What a snapshot is made of, as it is noted on a disk and told to others: checked when read. */
import { isChunkId, type ChunkId } from "../store/chunk.ts";
import { PIECE_BYTES, type ImageFile } from "./image-files.ts";

/** One snapshot as it is noted. */
export interface SnapshotRecord {
  /** All that it depends on, as a hash. */
  readonly key: string;
  /** What the server knows it by: the same on every node. */
  readonly snapshotId: string;
  readonly madeAtMs: number;
  readonly files: readonly ImageFile[];
}

const SHA256 = /^[0-9a-f]{64}$/;
/** Plain names only: they are made files of in a folder. */
const FILE_NAME = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$/;
const FILES_MAX = 16;

/** A record as bytes that `readManifest` takes. */
export function manifestOf({ key, snapshotId, madeAtMs, files }: SnapshotRecord): Uint8Array {
  return Buffer.from(JSON.stringify({ key, snapshotId, madeAtMs, files }));
}

/** The record that bytes from elsewhere hold; undefined unless all of it is as it should be. */
export function readManifest(bytes: Uint8Array): SnapshotRecord | undefined {
  const value = parsed(bytes);
  return isRecord(value) ? value : undefined;
}

/** Every chunk that a snapshot needs, each once. */
export function chunkIdsOf({ files }: SnapshotRecord): readonly ChunkId[] {
  return [...new Set(files.flatMap(({ chunkIds }) => chunkIds))];
}

function parsed(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString());
  } catch {
    // What is no JSON is no manifest.
    return undefined;
  }
}

function isRecord(value: unknown): value is SnapshotRecord {
  if (!isObject(value)) return false;
  const { key, snapshotId, madeAtMs, files } = value;
  if (!isSha256(key) || !isSha256(snapshotId) || !isCount(madeAtMs)) return false;
  if (!Array.isArray(files) || files.length === 0 || files.length > FILES_MAX) return false;
  const named = new Set(files.map((file: unknown) => (isObject(file) ? file["name"] : undefined)));
  return named.size === files.length && files.every(isFile);
}

function isFile(value: unknown): value is ImageFile {
  if (!isObject(value)) return false;
  const { name, byteCount, chunkIds } = value;
  if (typeof name !== "string" || !FILE_NAME.test(name) || !isCount(byteCount)) return false;
  if (!Array.isArray(chunkIds) || chunkIds.length !== Math.ceil(byteCount / PIECE_BYTES)) {
    return false;
  }
  return chunkIds.every((id: unknown) => typeof id === "string" && isChunkId(id));
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isSha256(value: unknown): value is string {
  return typeof value === "string" && SHA256.test(value);
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
