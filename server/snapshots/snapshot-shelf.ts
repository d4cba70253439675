/**
 * The snapshots that nodes share: notes of what each is made of, and its chunks.
 *
 * A node may ask for, give and reject only those of functions of which it has a container now:
 * the memory of one workspace is nobody else's, and a node that was broken into harms no function
 * that it does not run. Who reads a chunk verifies it by its hash.
 */
import { PlatformError, type Clock } from "../../core/index.ts";
import {
  ChunkKeeper,
  chunkIdsOf,
  decodeChunk,
  readManifest,
  type ChunkRecords,
  type ChunkStore,
  type OfferAnswer,
  type SnapshotRecord,
  type StoredChunk,
  type StoreLease,
} from "../../sandbox/index.ts";
import type { SnapshotService } from "../services.ts";

export interface SnapshotShelfOptions {
  /** Notes by the key of their snapshot. */
  readonly notes: ChunkStore;
  readonly chunks: ChunkStore;
  /** Of the chunks. */
  readonly records: ChunkRecords;
  readonly clock: Pick<Clock, "nowMs" | "sleep">;
  /** Whether a node has a container of a function with such snapshots. */
  readonly runs: (nodeId: string, snapshotId: string) => boolean;
  /** Whether there is another node that could use what one offers. */
  readonly isShared: () => boolean;
}

/** Nodes make their own anew after as long. */
const KEPT_MS = 7 * 24 * 3_600_000;
/** The oldest go beyond this. */
const SNAPSHOTS_MAX = 256;

export class SnapshotShelf implements SnapshotService {
  readonly #options: SnapshotShelfOptions;
  readonly #keeper: ChunkKeeper;

  constructor(options: SnapshotShelfOptions) {
    this.#options = options;
    const { chunks: store, records, clock, notes } = options;
    this.#keeper = new ChunkKeeper({
      ...{ store, records, clock },
      imagesInUse: async () => (await this.#noted()).map(({ id }) => id),
      chunksOf: async (key) => {
        const bytes = await notes.get(key);
        const record = bytes && readManifest(bytes);
        return record === undefined ? [] : chunkIdsOf(record);
      },
    });
  }

  async find(nodeId: string, snapshotId: string, key: string): Promise<Uint8Array | undefined> {
    this.#check(nodeId, snapshotId);
    const bytes = await this.#options.notes.get(key);
    const record = bytes && readManifest(bytes);
    return record?.snapshotId === snapshotId ? bytes : undefined;
  }

  async offer(nodeId: string, snapshotId: string, bytes: Uint8Array): Promise<OfferAnswer> {
    this.#check(nodeId, snapshotId);
    const record = readManifest(bytes);
    if (record?.snapshotId !== snapshotId) throw invalid("the body is no note of that snapshot");
    if (await this.#isOfAnother(record)) throw invalid(`${record.key} is another function's`);
    if (!this.#options.isShared()) return { wanted: false, missing: [] };
    // What is found under the lease cannot be removed before the note is there.
    const lease = this.#keeper.lease();
    try {
      const missing = await missingOf(lease.store, record);
      if (missing.length === 0) await this.#note(record.key, bytes, lease);
      return { wanted: true, missing };
    } finally {
      await lease.close();
    }
  }

  /** A note that came after its lease had ended, in a server that stood still, is taken back. */
  async #note(key: string, bytes: Uint8Array, lease: StoreLease): Promise<void> {
    const { notes } = this.#options;
    await notes.put(key, bytes);
    try {
      await lease.held();
    } catch (error) {
      await notes.delete([key]);
      throw error;
    }
  }

  async reject(nodeId: string, snapshotId: string, key: string): Promise<void> {
    if ((await this.find(nodeId, snapshotId, key)) !== undefined) {
      await this.#options.notes.delete([key]);
    }
  }

  async chunk(id: string): Promise<Uint8Array | undefined> {
    return this.#options.chunks.get(id);
  }

  async putChunk(id: string, encoded: Uint8Array): Promise<void> {
    try {
      decodeChunk(id, encoded);
    } catch (error) {
      if (error instanceof PlatformError) throw invalid(error.message);
      throw error;
    }
    await this.#options.chunks.put(id, encoded);
  }

  /** Removes what is old, and the chunks that nothing needs any more. */
  async collect(): Promise<void> {
    const sinceMs = this.#options.clock.nowMs() - KEPT_MS;
    const newestFirst = (await this.#noted()).toSorted((a, b) => b.storedAtMs - a.storedAtMs);
    const old = newestFirst.filter(
      ({ storedAtMs }, position) => storedAtMs < sinceMs || position >= SNAPSHOTS_MAX,
    );
    await this.#options.notes.delete(old.map(({ id }) => id));
    await this.#keeper.collect();
  }

  async #isOfAnother({ key, snapshotId }: SnapshotRecord): Promise<boolean> {
    const bytes = await this.#options.notes.get(key);
    const known = bytes && readManifest(bytes);
    return known !== undefined && known.snapshotId !== snapshotId;
  }

  async #noted(): Promise<readonly StoredChunk[]> {
    const noted: StoredChunk[] = [];
    for await (const one of this.#options.notes.list()) noted.push(one);
    return noted;
  }

  #check(nodeId: string, snapshotId: string): void {
    if (this.#options.runs(nodeId, snapshotId)) return;
    throw new PlatformError(`node ${nodeId} has no container with snapshot ${snapshotId}`, {
      code: "not_found",
      retryable: false,
      details: { nodeId, snapshotId },
    });
  }
}

async function missingOf(store: ChunkStore, record: SnapshotRecord): Promise<readonly string[]> {
  const ids = chunkIdsOf(record);
  const known = await store.has(ids);
  return ids.filter((id) => !known.has(id));
}

function invalid(message: string): PlatformError {
  return new PlatformError(message, { code: "invalid_request", retryable: false });
}
