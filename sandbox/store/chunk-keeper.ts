/**
 * Removes the chunks that no image in use reaches, while others are being stored.
 *
 * Who stores chunks does it under a lease: every chunk that the lease has asked about or stored
 * is pinned until the lease ends, and for as long again as a collection that runs then. A chunk
 * that is being removed is waited for, and is then seen to be absent and stored anew. So if an
 * image is named as in use before its lease ends, all its chunks stay. Held by a property test
 * over random interleavings.
 *
 * One keeper per store: leases are known to this process only.
 */
import { PlatformError } from "../../core/index.ts";
import { readBlobPieces } from "./blob.ts";
import { createChunkSource, type ChunkSource } from "./chunk-source.ts";
import type { ChunkStore, StoredChunk } from "./chunk-store.ts";
import type { ChunkId } from "./chunk.ts";
import { readImageIndex } from "./open-index.ts";

export interface ChunkKeeperOptions {
  readonly store: ChunkStore;
  /** The images in use, asked for at the beginning of every collection. */
  readonly imagesInUse: () => Promise<readonly ChunkId[]>;
  /** All chunks that an image needs; read from the store unless given. */
  readonly chunksOf?: (imageId: ChunkId) => Promise<readonly ChunkId[]>;
}

/** What a collection found and removed. */
export interface CollectionFigures {
  readonly keptChunkCount: number;
  readonly removedChunkCount: number;
  readonly removedBytes: number;
}

/** The right to store chunks; they stay at least as long as it. */
export interface StoreLease {
  /** The store, to be used for this and no longer than it. */
  readonly store: ChunkStore;
  /** Ends it; what was stored must be in use by now, or may go. */
  close(): void;
}

const CHUNKS_PER_REMOVAL = 64;

export class ChunkKeeper {
  readonly #options: ChunkKeeperOptions;
  readonly #leases = new Set<Set<ChunkId>>();
  /** Pins of leases that ended while a collection ran. */
  #lingering: Set<ChunkId> | undefined;
  /** Chunks that are being removed at this moment. */
  readonly #removing = new Map<ChunkId, Promise<void>>();
  #collecting: Promise<CollectionFigures> | undefined;

  constructor(options: ChunkKeeperOptions) {
    this.#options = options;
  }

  /** Lets somebody store chunks. */
  lease(): StoreLease {
    const { store } = this.#options;
    const pins = new Set<ChunkId>();
    this.#leases.add(pins);
    const pin = async (ids: readonly ChunkId[]): Promise<void> => {
      for (const id of ids) pins.add(id);
      await Promise.all(ids.flatMap((id) => this.#removing.get(id) ?? []));
    };
    return {
      store: {
        get: (id) => store.get(id),
        put: async (id, encoded) => {
          await pin([id]);
          await store.put(id, encoded);
        },
        has: async (ids) => {
          await pin(ids);
          return store.has(ids);
        },
        delete: (ids) => store.delete(ids),
        list: () => store.list(),
      },
      close: () => {
        this.#leases.delete(pins);
        for (const id of pins) this.#lingering?.add(id);
      },
    };
  }

  /**
   * Removes what no image in use and no lease needs; one collection at a time, so who asks
   * while one runs gets that one.
   *
   * @throws PlatformError `unavailable` when an image in use cannot be read: then nothing is
   *   removed, because what it needs is not known
   */
  async collect(): Promise<CollectionFigures> {
    this.#collecting ??= this.#collect().finally(() => {
      this.#collecting = undefined;
      this.#lingering = undefined;
    });
    return this.#collecting;
  }

  async #collect(): Promise<CollectionFigures> {
    this.#lingering = new Set();
    const needed = await this.#needed();
    const figures = { keptChunkCount: 0, removedChunkCount: 0, removedBytes: 0 };
    let batch: StoredChunk[] = [];
    const sweep = async (): Promise<void> => {
      const gone = batch.filter(({ id }) => !this.#isPinned(id));
      figures.keptChunkCount += batch.length - gone.length;
      figures.removedChunkCount += gone.length;
      figures.removedBytes += gone.reduce((sum, { byteCount }) => sum + byteCount, 0);
      batch = [];
      await this.#remove(gone.map(({ id }) => id));
    };
    for await (const chunk of this.#options.store.list()) {
      if (needed.has(chunk.id)) figures.keptChunkCount += 1;
      else if (batch.push(chunk) >= CHUNKS_PER_REMOVAL) await sweep();
    }
    await sweep();
    return figures;
  }

  async #needed(): Promise<ReadonlySet<ChunkId>> {
    const { store, imagesInUse } = this.#options;
    const source = createChunkSource([store]);
    const { chunksOf = (imageId: ChunkId) => chunksOfImage(source, imageId) } = this.#options;
    const needed = new Set<ChunkId>();
    for (const imageId of new Set(await imagesInUse())) {
      for (const id of await chunksOf(imageId)) needed.add(id);
    }
    return needed;
  }

  #isPinned(id: ChunkId): boolean {
    if (this.#lingering?.has(id) === true) return true;
    for (const pins of this.#leases) if (pins.has(id)) return true;
    return false;
  }

  /** Marks and begins in one turn: nobody can pin a chunk in between and not see it go. */
  async #remove(ids: readonly ChunkId[]): Promise<void> {
    if (ids.length === 0) return;
    const removal = this.#options.store.delete(ids);
    const settled = removal.then(
      () => undefined,
      () => undefined,
    );
    for (const id of ids) this.#removing.set(id, settled);
    try {
      await removal;
    } finally {
      for (const id of ids) this.#removing.delete(id);
    }
  }
}

/**
 * The names of all chunks that an image needs: those of its files, of its index, and of the
 * list of these. An image that is not in the store needs none.
 */
export async function chunksOfImage(
  source: ChunkSource,
  imageId: ChunkId,
): Promise<readonly ChunkId[]> {
  try {
    const { ids } = await readBlobPieces(source, imageId);
    const index = await readImageIndex(source, imageId);
    return [imageId, ...ids, ...index.chunkIds()];
  } catch (error) {
    if (error instanceof PlatformError && error.code === "not_found") return [];
    throw error;
  }
}
