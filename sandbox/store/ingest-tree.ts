/**
 * Makes an image of a folder: its files as chunks in a store, its tree as an index, and the
 * index as a blob whose name is the name of the image. Equal trees make equal images.
 */
import { closeSync, openSync, readFileSync, readSync } from "node:fs";
import { setImmediate as turn } from "node:timers/promises";
import { assert, messageOf, PlatformError } from "../../core/index.ts";
import { putBlob } from "./blob.ts";
import type { ChunkStore } from "./chunk-store.ts";
import { ChunkUploads, type UploadFigures } from "./chunk-uploads.ts";
import type { ChunkId } from "./chunk.ts";
import {
  FileCutter,
  LARGE_FILE_BYTES,
  PIECE_BYTES,
  type CutChunk,
  type Place,
} from "./cut-files.ts";
import type { ImageIndex } from "./image-index.ts";
import { openImageIndex } from "./open-index.ts";
import { pathIn, scanTree, type ScannedInode, type SpecialFiles } from "./scan-tree.ts";
import { writeIndex } from "./write-index.ts";
import { readTreeXattrs, type Xattr } from "./xattrs.ts";

export interface IngestOptions {
  /** What becomes of device nodes, FIFOs and sockets; `refuse` unless given. */
  readonly specialFiles?: SpecialFiles;
  /**
   * Extended attributes by path from the root (latin1, `.` is the root), for trees whose disk
   * does not carry them; read by `getfattr` unless given.
   */
  readonly xattrs?: ReadonlyMap<string, readonly Xattr[]>;
  /** Told now and then how many bytes of files have been read. */
  readonly onProgress?: (bytesRead: number, bytesTotal: number) => void;
  readonly signal?: AbortSignal;
}

export interface IngestFigures extends UploadFigures {
  readonly fileCount: number;
  readonly folderCount: number;
  readonly linkCount: number;
  /** Sum of the sizes of all files; hard links count once. */
  readonly bytes: number;
  readonly chunkCount: number;
  /** Bytes of the image's chunks: files without what repeats among them, and without holes. */
  readonly chunkBytes: number;
  /** `unread` where `getfattr` is not installed: attributes of the tree are then not kept. */
  readonly xattrs: "kept" | "unread";
}

export interface IngestedImage {
  readonly imageId: ChunkId;
  readonly index: ImageIndex;
  readonly figures: IngestFigures;
}

/** Bytes read without giving way to the rest of the process. */
const BYTES_PER_TURN = 4 * 1_024 * 1_024;
const FILES_PER_TURN = 64;

/**
 * Stores the tree under `rootDir` as an image. Its blob is stored last, so an image whose name
 * is in the store is there as a whole.
 *
 * Chunks of this size are read and hashed on the calling thread in slices of a few
 * milliseconds, and compressed on libuv's.
 *
 * @throws PlatformError `invalid_request` for special files that are refused, `conflict` when
 *   a file changes meanwhile, `unavailable` when the tree or the store fails
 */
export async function ingestTree(
  rootDir: string,
  store: ChunkStore,
  options: IngestOptions = {},
): Promise<IngestedImage> {
  const inodes = await scanTree(rootDir, options.specialFiles ?? "refuse");
  const xattrs = options.xattrs ?? readTreeXattrs(rootDir);
  const reader = new TreeReader(rootDir, store, options);
  const extents = await reader.read(inodes);
  const indexBytes = writeIndex({
    pieceBytes: PIECE_BYTES,
    inodes,
    extents,
    chunks: reader.chunks,
    xattrs: xattrs ?? new Map<string, readonly Xattr[]>(),
  });
  const shared = new Uint8Array(new SharedArrayBuffer(indexBytes.byteLength));
  shared.set(indexBytes);
  const index = openImageIndex(shared);
  const imageId = await putBlob(store, indexBytes);
  const figures: IngestFigures = {
    ...reader.uploads.figures,
    ...countsOf(inodes),
    chunkCount: reader.chunks.length,
    chunkBytes: reader.chunks.reduce((sum, { byteCount }) => sum + byteCount, 0),
    xattrs: xattrs === undefined ? "unread" : "kept",
  };
  return { imageId, index, figures };
}

function countsOf(
  inodes: readonly ScannedInode[],
): Pick<IngestFigures, "fileCount" | "folderCount" | "linkCount" | "bytes"> {
  const files = inodes.filter(({ stats }) => stats.isFile());
  return {
    fileCount: files.length,
    folderCount: inodes.filter(({ stats }) => stats.isDirectory()).length,
    linkCount: inodes.filter(({ stats }) => stats.isSymbolicLink()).length,
    bytes: files.reduce((sum, { stats }) => sum + stats.size, 0),
  };
}

/** Reads the files of a tree and stores their chunks. */
class TreeReader {
  readonly uploads: ChunkUploads;
  readonly chunks: { readonly id: ChunkId; readonly byteCount: number }[] = [];
  readonly #rootDir: string;
  readonly #options: IngestOptions;
  readonly #cutter: FileCutter;
  #bytesRead = 0;
  #readAtTurn = 0;
  #filesAtTurn = 0;

  constructor(rootDir: string, store: ChunkStore, options: IngestOptions) {
    this.#rootDir = rootDir;
    this.#options = options;
    this.uploads = new ChunkUploads(store);
    this.#cutter = new FileCutter((chunk) => this.#onChunk(chunk));
  }

  async read(inodes: readonly ScannedInode[]): Promise<Map<number, Place[]>> {
    const extents = new Map<number, Place[]>();
    const bytesTotal = countsOf(inodes).bytes;
    for (const [number, inode] of inodes.entries()) {
      if (!inode.stats.isFile()) continue;
      const places: Place[] = [];
      extents.set(number, places);
      if (inode.stats.size < LARGE_FILE_BYTES) this.#readSmall(inode, places);
      else await this.#readLarge(inode, places);
      await this.#pause(bytesTotal);
    }
    this.#cutter.finish();
    await this.uploads.finish();
    for (const [number, places] of extents) {
      const size = inodes[number]?.stats.size ?? 0;
      assert(places.length === Math.ceil(size / PIECE_BYTES), "a file has all its pieces");
    }
    return extents;
  }

  #readSmall({ path, stats }: ScannedInode, places: Place[]): void {
    const bytes = this.#reading(path, () => readFileSync(pathIn(this.#rootDir, path)));
    if (bytes.byteLength !== stats.size) throw changed(path);
    this.#bytesRead += bytes.byteLength;
    this.#cutter.addSmall(bytes, places);
  }

  async #readLarge({ path, stats }: ScannedInode, places: Place[]): Promise<void> {
    const file = this.#reading(path, () => openSync(pathIn(this.#rootDir, path), "r"));
    try {
      for (let start = 0; start < stats.size; start += PIECE_BYTES) {
        const piece = Buffer.allocUnsafeSlow(Math.min(PIECE_BYTES, stats.size - start));
        const count = this.#reading(path, () => readSync(file, piece, 0, piece.length, start));
        if (count !== piece.byteLength) throw changed(path);
        this.#bytesRead += count;
        places.push(this.#cutter.addPiece(piece));
        await this.#pause();
      }
    } finally {
      closeSync(file);
    }
  }

  #reading<T>(path: string, read: () => T): T {
    try {
      return read();
    } catch (error) {
      throw new PlatformError(`reading "${path}" for an image failed: ${messageOf(error)}`, {
        code: "unavailable",
        retryable: false,
        details: { path },
        cause: error,
      });
    }
  }

  #onChunk({ id, bytes }: CutChunk): void {
    this.chunks.push({ id, byteCount: bytes.byteLength });
    this.uploads.add({ id, bytes });
  }

  /** Stores what has come together, and gives way now and then. */
  async #pause(bytesTotal?: number): Promise<void> {
    this.#options.signal?.throwIfAborted();
    await this.uploads.relieve();
    this.#filesAtTurn += 1;
    const isShort = this.#bytesRead - this.#readAtTurn < BYTES_PER_TURN;
    if (isShort && this.#filesAtTurn < FILES_PER_TURN) return;
    this.#readAtTurn = this.#bytesRead;
    this.#filesAtTurn = 0;
    if (bytesTotal !== undefined) this.#options.onProgress?.(this.#bytesRead, bytesTotal);
    await turn();
  }
}

function changed(path: string): PlatformError {
  return new PlatformError(`"${path}" changed while its tree was read; build again`, {
    code: "conflict",
    retryable: true,
    details: { path },
  });
}
