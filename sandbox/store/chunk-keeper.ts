/**
 * Removes the chunks that no image in use reaches, while others are being stored, by this server
 * and by any other that shares the store and its records.
 *
 * Who stores chunks does it under a lease. Before it asks whether chunks are there, or stores
 * them, it claims them: they are condemned no more, and a removal that is on its way is waited
 * for. Who names them as in use does that in one step with the check that the lease is held.
 *
 * A collection (1) lists the chunks and condemns those that nothing in use needs, (2) waits for
 * nobody, but takes only those condemned before the oldest lease began, (3) looks again, after
 * that, at what is in use, and (4) takes the rest out of the store, unless they were claimed.
 *
 * So a chunk that was claimed under a lease which is held when it is named as in use stays. Say
 * it is removed: it was condemned at some turn, and at step 2 no lease from before that turn was
 * left. If the claim came after the turn, the chunk was condemned no more at step 4. If it came
 * before, its lease is older than the turn, and had ended by step 2, and what it named is seen at
 * step 3. No clock is part of this: a lease has ended when the records say so, and time alone
 * decides when a collection may end one that its owner left behind.
 *
 * One thing rests on time: a removal takes less than `REMOVAL_MS_MAX`. After that a claim takes
 * its collection for dead. docs/decisions/0020 says why that holds, and what was not taken.
 */
import { PlatformError, type Clock } from "../../core/index.ts";
import { readBlobPieces } from "./blob.ts";
import type { ChunkRecords } from "./chunk-records.ts";
import { createChunkSource, type ChunkSource } from "./chunk-source.ts";
import type { ChunkStore } from "./chunk-store.ts";
import type { ChunkId } from "./chunk.ts";
import { readImageIndex } from "./open-index.ts";
import { StoreLease } from "./store-lease.ts";

export interface ChunkKeeperOptions {
  readonly store: ChunkStore;
  /** Shared by all who use the store. */
  readonly records: ChunkRecords;
  /** The images in use, asked for twice in every collection. */
  readonly imagesInUse: () => Promise<readonly ChunkId[]>;
  /** All chunks that an image needs; read from the store unless given. */
  readonly chunksOf?: (imageId: ChunkId) => Promise<readonly ChunkId[]>;
  readonly clock: Pick<Clock, "nowMs" | "sleep">;
}

/** What a collection found and removed. */
export interface CollectionFigures {
  readonly keptChunkCount: number;
  readonly removedChunkCount: number;
  readonly removedBytes: number;
}

/** A removal that took longer has died with its process, and no longer stands in the way. */
export const REMOVAL_MS_MAX = 5 * 60_000;

const CHUNKS_PER_STEP = 500;

export class ChunkKeeper {
  readonly #options: ChunkKeeperOptions;
  #collecting: Promise<CollectionFigures> | undefined;

  constructor(options: ChunkKeeperOptions) {
    this.#options = options;
  }

  /** Lets somebody store chunks. */
  lease(): StoreLease {
    return new StoreLease(this.#options);
  }

  /**
   * Removes what no image in use needs and no lease may; one collection at a time here, so who
   * asks while one runs gets that one. What a lease holds back goes the next time.
   *
   * @throws PlatformError `unavailable` when an image in use cannot be read: then nothing is
   *   removed, because what it needs is not known; and when the store does not remove a chunk
   */
  async collect(): Promise<CollectionFigures> {
    this.#collecting ??= this.#collect().finally(() => {
      this.#collecting = undefined;
    });
    return this.#collecting;
  }

  /**
   * Bytes of the chunks that nothing would need if some of the images in use were not.
   *
   * @param without One mention of each is taken from those in use.
   * @throws PlatformError `unavailable` when an image in use cannot be read
   */
  async bytesWithout(without: readonly ChunkId[]): Promise<number> {
    const inUse = [...(await this.#options.imagesInUse())];
    for (const imageId of without) {
      const at = inUse.indexOf(imageId);
      if (at >= 0) inUse.splice(at, 1);
    }
    const needed = await this.#needed(new Map(), inUse);
    let bytes = 0;
    for await (const { id, byteCount } of this.#options.store.list()) {
      if (!needed.has(id)) bytes += byteCount;
    }
    return bytes;
  }

  async #collect(): Promise<CollectionFigures> {
    const { store, records, clock } = this.#options;
    const read = new Map<ChunkId, readonly ChunkId[]>();
    const unneeded = new Map<ChunkId, number>();
    let chunkCount = 0;
    const neededAtFirst = await this.#neededNow(read);
    for await (const { id, byteCount } of store.list()) {
      chunkCount += 1;
      if (!neededAtFirst.has(id)) unneeded.set(id, byteCount);
    }
    for (const ids of steps([...unneeded.keys()])) {
      await records.condemned.condemn(ids, clock.nowMs());
    }
    const removed = unneeded.size === 0 ? [] : await this.#removeRipe([...unneeded.keys()], read);
    return {
      keptChunkCount: chunkCount - removed.length,
      removedChunkCount: removed.length,
      removedBytes: removed.reduce((sum, id) => sum + (unneeded.get(id) ?? 0), 0),
    };
  }

  async #removeRipe(
    condemned: readonly ChunkId[],
    read: Map<ChunkId, readonly ChunkId[]>,
  ): Promise<readonly ChunkId[]> {
    const { records, clock } = this.#options;
    const beforeTurn = await records.condemned.oldestTurn(clock.nowMs());
    const needed = await this.#neededNow(read);
    const removed: ChunkId[] = [];
    for (const ids of steps(condemned.filter((id) => !needed.has(id)))) {
      removed.push(...(await this.#remove(ids, beforeTurn)));
    }
    return removed;
  }

  async #remove(ids: readonly ChunkId[], beforeTurn: number): Promise<readonly ChunkId[]> {
    const { store, records, clock } = this.#options;
    const untilMs = clock.nowMs() + REMOVAL_MS_MAX;
    const taken = await records.condemned.take(ids, { beforeTurn, untilMs });
    // A process that stood still has no time left; the next collection begins anew with these.
    if (taken.length === 0 || clock.nowMs() > untilMs - REMOVAL_MS_MAX / 2) return [];
    await store.delete(taken);
    await records.condemned.forget(taken, untilMs);
    return taken;
  }

  async #neededNow(read: Map<ChunkId, readonly ChunkId[]>): Promise<ReadonlySet<ChunkId>> {
    return this.#needed(read, await this.#options.imagesInUse());
  }

  /** @param read What was read of images before, which never changes; added to. */
  async #needed(
    read: Map<ChunkId, readonly ChunkId[]>,
    imageIds: readonly ChunkId[],
  ): Promise<ReadonlySet<ChunkId>> {
    const { store, chunksOf } = this.#options;
    const source = createChunkSource([store]);
    const needed = new Set<ChunkId>();
    for (const imageId of new Set(imageIds)) {
      const ids =
        (await chunksOf?.(imageId)) ?? read.get(imageId) ?? (await chunksOfImage(source, imageId));
      for (const id of ids) needed.add(id);
      // One that was not there may be stored meanwhile.
      if (chunksOf === undefined && ids.length > 0) read.set(imageId, ids);
    }
    return needed;
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

function* steps(ids: readonly ChunkId[]): Generator<readonly ChunkId[]> {
  for (let start = 0; start < ids.length; start += CHUNKS_PER_STEP) {
    yield ids.slice(start, start + CHUNKS_PER_STEP);
  }
}
