/** The versions of volumes in a store of chunks: read as trees, merged and written. */
import { PlatformError } from "../../core/index.ts";
import { VOLUME_PIECE_BYTES, type VolumeChange } from "../../sdk/protocol/index.ts";
import { putBlob } from "../store/blob.ts";
import { createChunkSource, type ChunkSource } from "../store/chunk-source.ts";
import type { ChunkStore } from "../store/chunk-store.ts";
import { chunkIdOf, encodeChunk } from "../store/chunk.ts";
import { readImageIndex } from "../store/open-index.ts";
import { contentOf } from "./apply-version.ts";
import { markHash } from "./find-changes.ts";
import { bytesOf, mergeChanges, type Merge, type TreeChanges } from "./merge.ts";
import { indexOf, treeOf, type TreeEntry, type VolumeTree } from "./volume-tree.ts";

type FileEntry = Extract<TreeEntry, { kind: "file" }>;

/** What a tree amounts to. */
export interface TreeFigures {
  readonly entryCount: number;
  readonly bytes: number;
}

/** Trees that are kept in memory, the last ones read. */
const CACHED_MAX = 4;

export class VersionStore {
  readonly #source: ChunkSource;
  readonly #trees = new Map<string, VolumeTree>();

  constructor(store: ChunkStore) {
    this.#source = createChunkSource([store]);
  }

  /** The tree of a version. @throws PlatformError as the store does */
  async read(contentId: string | undefined): Promise<VolumeTree> {
    if (contentId === undefined) return new Map();
    const known = this.#trees.get(contentId);
    const tree = known ?? treeOf(await readImageIndex(this.#source, contentId));
    this.#keep(contentId, tree);
    return tree;
  }

  /** Writes a version into `store`, whose lease the caller has; undefined for an empty one. */
  async write(tree: VolumeTree, store: ChunkStore): Promise<string | undefined> {
    if (tree.size === 0) return undefined;
    const contentId = await putBlob(store, indexOf(tree));
    this.#keep(contentId, tree);
    return contentId;
  }

  /** The version after a commit; see `mergeChanges`. */
  merge(head: VolumeTree, changes: TreeChanges): Merge {
    return mergeChanges(head, changes, markHash);
  }

  figuresOf(tree: VolumeTree): TreeFigures {
    return { entryCount: tree.size, bytes: bytesOf(tree) };
  }

  /** The bytes of a file from `offset` on. */
  async *bytesOf(file: FileEntry, offset: number): AsyncGenerator<Uint8Array> {
    const first = Math.floor(offset / VOLUME_PIECE_BYTES);
    const skipped = first * VOLUME_PIECE_BYTES;
    const rest = { bytes: file.bytes - skipped, chunks: file.chunks.slice(first) };
    let begin = offset - skipped;
    for await (const piece of contentOf(rest, this.#source)) {
      yield begin === 0 ? piece : piece.subarray(begin);
      begin = 0;
    }
  }

  /**
   * Holds each piece of a commit to what its file says: a piece that is not there, or is of
   * another length, would be read as something else.
   *
   * @param sizes Lengths of the chunks that the volume has or was sent, by name. Of others in the
   *   store it may be that they are somebody else's.
   * @throws PlatformError `conflict` when a chunk was not sent; `invalid_request` when it has
   *   another length
   */
  checkPieces(changes: readonly VolumeChange[], sizes: ReadonlyMap<string, number>): void {
    for (const [id, byteCount] of piecesOf(changes)) {
      const size = sizes.get(id);
      if (size === byteCount) continue;
      if (size === undefined) {
        throw new PlatformError(`chunk ${id} was not sent; upload it, and commit again`, {
          code: "conflict",
          retryable: false,
          details: { chunkId: id },
        });
      }
      throw new PlatformError(`chunk ${id} has ${size} bytes, and a file says ${byteCount}`, {
        code: "invalid_request",
        retryable: false,
        details: { chunkId: id },
      });
    }
  }

  #keep(contentId: string, tree: VolumeTree): void {
    this.#trees.delete(contentId);
    this.#trees.set(contentId, tree);
    const [oldest] = this.#trees.keys();
    if (this.#trees.size > CACHED_MAX && oldest !== undefined) this.#trees.delete(oldest);
  }
}

/** Chunks by name, with the length that they must have. A name of two lengths has the last. */
export function piecesOf(entries: Iterable<VolumeChange | TreeEntry>): ReadonlyMap<string, number> {
  const pieces = new Map<string, number>();
  for (const entry of entries) {
    if (entry.kind !== "file") continue;
    for (const [piece, id] of entry.chunks.entries()) {
      if (id === "") continue;
      pieces.set(id, Math.min(VOLUME_PIECE_BYTES, entry.bytes - piece * VOLUME_PIECE_BYTES));
    }
  }
  return pieces;
}

/** Stores chunks by what they are; gives their names and lengths. */
export async function storeChunks(
  store: ChunkStore,
  bodies: readonly Uint8Array[],
): Promise<ReadonlyMap<string, number>> {
  const stored = new Map<string, number>();
  for (const bytes of bodies) {
    const id = chunkIdOf(bytes);
    await store.put(id, await encodeChunk(bytes));
    stored.set(id, bytes.byteLength);
  }
  return stored;
}
