/** The chunk store port: encoded chunks by name. Adapters pass `chunk-store-conformance.ts`. */
import { PlatformError } from "../../core/index.ts";
import { isChunkId, type ChunkId } from "./chunk.ts";

/** A chunk as a store lists it. */
export interface StoredChunk {
  readonly id: ChunkId;
  /** Size of its encoding. */
  readonly byteCount: number;
  /** When it was stored last. */
  readonly storedAtMs: number;
}

/**
 * Encoded chunks by name.
 *
 * A store does not look into what it keeps: who reads, verifies (`ChunkSource`). Every method
 * throws PlatformError `unavailable` when the store cannot be reached, and `invalid_request`
 * for a name that is none.
 */
export interface ChunkStore {
  /** The encoding, or undefined when the store does not have it. */
  get(id: ChunkId): Promise<Uint8Array | undefined>;
  /** Stores an encoding; readers see all of it or nothing. Storing again changes nothing. */
  put(id: ChunkId, encoded: Uint8Array): Promise<void>;
  /** Which of these the store has. */
  has(ids: readonly ChunkId[]): Promise<ReadonlySet<ChunkId>>;
  /** Removes what it has of these. */
  delete(ids: readonly ChunkId[]): Promise<void>;
  /** All chunks, in no order; one that comes or goes meanwhile may be missing. */
  list(): AsyncIterable<StoredChunk>;
}

/** @throws PlatformError `invalid_request` unless `id` is the name of a chunk */
export function checkChunkId(id: ChunkId): void {
  if (isChunkId(id)) return;
  throw new PlatformError(`"${id.slice(0, 80)}" is not the name of a chunk`, {
    code: "invalid_request",
    retryable: false,
  });
}
