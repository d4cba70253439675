/** Chunks as objects of an S3-compatible store: `<prefix>/ab/abcdef…`. */
import { checkChunkId, type ChunkStore } from "./chunk-store.ts";
import { CHUNK_BYTES_MAX, ENCODING_HEADER_BYTES, isChunkId, type ChunkId } from "./chunk.ts";
import type { S3Objects } from "./s3-objects.ts";

/** Objects asked about at once: S3 has no question about many. */
const PARALLEL = 16;

/** A chunk store in `objects`, which the caller closes. */
export function createS3Tier(objects: S3Objects): ChunkStore {
  return {
    get: async (id) => objects.get(keyOf(id), CHUNK_BYTES_MAX + ENCODING_HEADER_BYTES),
    put: async (id, encoded) => objects.put(keyOf(id), encoded),
    has: async (ids) => {
      ids.forEach(checkChunkId);
      const found = new Set<ChunkId>();
      const left = [...ids];
      const lane = async (): Promise<void> => {
        for (let id = left.pop(); id !== undefined; id = left.pop()) {
          if (await objects.has(keyOf(id))) found.add(id);
        }
      };
      await Promise.all(Array.from({ length: PARALLEL }, lane));
      return found;
    },
    delete: async (ids) => objects.delete(ids.map(keyOf)),
    async *list() {
      for await (const { key, byteCount, storedAtMs } of objects.list()) {
        const id = key.slice(key.lastIndexOf("/") + 1);
        if (isChunkId(id) && key === keyOf(id)) yield { id, byteCount, storedAtMs };
      }
    },
  };
}

/** @throws PlatformError `invalid_request` for a name that is none */
function keyOf(id: ChunkId): string {
  checkChunkId(id);
  return `${id.slice(0, 2)}/${id}`;
}
