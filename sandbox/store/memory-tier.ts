/** Chunks in memory, up to a size; those used longest ago go first. */
import { checkChunkId, type ChunkStore } from "./chunk-store.ts";
import type { ChunkId } from "./chunk.ts";

export interface MemoryTierOptions {
  /** Most bytes of encodings; without it nothing is evicted. */
  readonly byteCountMax?: number;
  readonly nowMs: () => number;
}

interface Kept {
  readonly encoded: Uint8Array;
  readonly storedAtMs: number;
}

/** A store in memory: a fast tier before others, and the store of tests. */
export function createMemoryTier(options: MemoryTierOptions): ChunkStore {
  const { byteCountMax = Infinity, nowMs } = options;
  /** The one used longest ago first. */
  const kept = new Map<ChunkId, Kept>();
  let byteCount = 0;

  const remove = (id: ChunkId): void => {
    byteCount -= kept.get(id)?.encoded.byteLength ?? 0;
    kept.delete(id);
  };
  const shrink = (): void => {
    for (const id of kept.keys()) {
      if (byteCount <= byteCountMax) return;
      remove(id);
    }
  };

  return {
    get: async (id) => {
      checkChunkId(id);
      const found = kept.get(id);
      if (found === undefined) return undefined;
      kept.delete(id);
      kept.set(id, found);
      return Promise.resolve(found.encoded);
    },
    put: async (id, encoded) => {
      checkChunkId(id);
      remove(id);
      kept.set(id, { encoded, storedAtMs: nowMs() });
      byteCount += encoded.byteLength;
      shrink();
      return Promise.resolve();
    },
    has: async (ids) => {
      ids.forEach(checkChunkId);
      return Promise.resolve(new Set(ids.filter((id) => kept.has(id))));
    },
    delete: async (ids) => {
      ids.forEach(checkChunkId);
      ids.forEach(remove);
      return Promise.resolve();
    },
    async *list() {
      for (const [id, { encoded, storedAtMs }] of await Promise.resolve([...kept])) {
        yield { id, byteCount: encoded.byteLength, storedAtMs };
      }
    },
  };
}
