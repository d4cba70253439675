/**
 * Writing to a volume from outside: pieces are stored first, and then all changes become one
 * version. What was stored before is not sent again, so a copy that was cut off goes on where it
 * was; and until the commit nobody sees any of it.
 */
import { createHash, randomUUID } from "node:crypto";
import { RequestError } from "../errors.ts";
import {
  VOLUME_PIECE_BYTES,
  type CommitReport,
  type VolumeChange,
  type VolumeRemoval,
} from "../protocol/volume.ts";
import type { VolumeApi } from "./volume-api.ts";

/** A file to be written. */
export interface FileSource {
  readonly path: string;
  readonly modifiedAtMs: number;
  readonly executable: boolean;
  /** Its bytes, in parts of any size; asked for again when the upload has to begin anew. */
  read(): AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

export interface WriteRequest {
  readonly files: readonly FileSource[];
  readonly others?: readonly VolumeChange[];
  readonly removals?: readonly VolumeRemoval[];
  /** Told how many bytes of files have been read, and how many had to be sent. */
  readonly onProgress?: (readBytes: number, sentBytes: number) => void;
  readonly signal?: AbortSignal | undefined;
}

interface Piece {
  readonly id: string;
  readonly bytes: Uint8Array;
}

const BATCH_BYTES = 8 * 1024 * 1024;
const BATCH_PIECES = 256;

/** Makes one version of it all. @throws the errors of `errors.ts`, or the signal's reason */
export async function writeVolume(
  api: VolumeApi,
  name: string,
  request: WriteRequest,
): Promise<CommitReport> {
  try {
    return await writeOnce(api, name, request);
  } catch (error) {
    // The upload ended with the server that had it; what it stored is found again.
    if (!(error instanceof RequestError) || error.code !== "conflict") throw error;
    return writeOnce(api, name, request);
  }
}

async function writeOnce(
  api: VolumeApi,
  name: string,
  request: WriteRequest,
): Promise<CommitReport> {
  const { files, others = [], removals = [], signal } = request;
  const upload = files.length === 0 ? undefined : await openUpload(api, name);
  const written = upload === undefined ? [] : await storeFiles(upload, request);
  signal?.throwIfAborted();
  return api.commit(name, {
    commitId: randomUUID().replaceAll("-", ""),
    ...(upload === undefined ? {} : { uploadId: upload.uploadId }),
    changes: [...others, ...written],
    removals,
  });
}

/** Stores the pieces of all files; gives what the commit says of them. */
async function storeFiles(
  upload: Upload,
  { files, onProgress, signal }: WriteRequest,
): Promise<readonly VolumeChange[]> {
  const changes: VolumeChange[] = [];
  let readBytes = 0;
  for (const file of files) {
    const { path, modifiedAtMs, executable } = file;
    const chunks: string[] = [];
    let bytes = 0;
    for await (const piece of piecesOf(file.read())) {
      signal?.throwIfAborted();
      bytes += piece.byteLength;
      readBytes += piece.byteLength;
      chunks.push(await storePiece(upload, piece));
      onProgress?.(readBytes, upload.sentBytes);
    }
    const more = executable ? { executable } : {};
    changes.push({ kind: "file", path, bytes, chunks, modifiedAtMs, ...more });
  }
  await upload.flush();
  onProgress?.(readBytes, upload.sentBytes);
  return changes;
}

/** The name of a piece, which is stored unless it is all zeros. */
async function storePiece(upload: Upload, piece: Uint8Array): Promise<string> {
  if (piece.every((byte) => byte === 0)) return "";
  const id = createHash("sha256").update(piece).digest("hex");
  await upload.add({ id, bytes: piece });
  return id;
}

interface Upload {
  readonly uploadId: string;
  readonly sentBytes: number;
  add(piece: Piece): Promise<void>;
  flush(): Promise<void>;
}

async function openUpload(api: VolumeApi, name: string): Promise<Upload> {
  const { uploadId } = await api.beginUpload(name);
  let waiting = new Map<string, Uint8Array>();
  let waitingBytes = 0;
  let sentBytes = 0;
  const flush = async (): Promise<void> => {
    const pieces = waiting;
    waiting = new Map();
    waitingBytes = 0;
    if (pieces.size === 0) return;
    const { missing } = await api.missingChunks(name, uploadId, [...pieces.keys()]);
    const bodies = missing.flatMap((id) => pieces.get(id) ?? []);
    if (bodies.length > 0) await api.storeChunks(name, uploadId, bodies);
    sentBytes += bodies.reduce((sum, bytes) => sum + bytes.byteLength, 0);
  };
  return {
    uploadId,
    get sentBytes() {
      return sentBytes;
    },
    add: async ({ id, bytes }) => {
      waiting.set(id, bytes);
      waitingBytes += bytes.byteLength;
      if (waitingBytes >= BATCH_BYTES || waiting.size >= BATCH_PIECES) await flush();
    },
    flush,
  };
}

/** Parts of any size as pieces of a volume: all of one size but the last. */
export async function* piecesOf(
  parts: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  let piece = new Uint8Array(VOLUME_PIECE_BYTES);
  let filled = 0;
  for await (const part of parts) {
    for (let offset = 0; offset < part.byteLength;) {
      const taken = part.subarray(offset, offset + VOLUME_PIECE_BYTES - filled);
      piece.set(taken, filled);
      offset += taken.byteLength;
      filled += taken.byteLength;
      if (filled < VOLUME_PIECE_BYTES) continue;
      yield piece;
      piece = new Uint8Array(VOLUME_PIECE_BYTES);
      filled = 0;
    }
  }
  if (filled > 0) yield piece.slice(0, filled);
}
