/**
 * Where chunks are read from: stores in the order of their speed, every answer verified.
 *
 * A chunk that a slower store gave is kept in the faster ones. A damaged copy is removed where
 * it was found, and the next store is asked. Several who ask for one chunk cause one read.
 */
import { messageOf, PlatformError } from "../../core/index.ts";
import type { ChunkStore } from "./chunk-store.ts";
import { decodeChunk, type ChunkId } from "./chunk.ts";

/** Gives the bytes of chunks, verified. */
export interface ChunkSource {
  /**
   * @throws PlatformError `not_found` when no store has it, `unavailable` when one that may
   *   have it cannot be asked, or has a damaged copy
   */
  read(id: ChunkId): Promise<Uint8Array>;
}

/** Where chunks can be had, and nothing else. */
export type RemoteChunks = Pick<ChunkStore, "get">;

/**
 * A source over stores of this machine, the fastest first, and then over others. What others
 * gave is kept in the stores.
 */
export function createChunkSource(
  stores: readonly ChunkStore[],
  remotes: readonly RemoteChunks[] = [],
): ChunkSource {
  const reading = new Map<ChunkId, Promise<Uint8Array>>();
  return {
    read: (id) => {
      const known = reading.get(id);
      if (known !== undefined) return known;
      const read = readFrom({ stores, remotes }, id).finally(() => reading.delete(id));
      reading.set(id, read);
      return read;
    },
  };
}

interface Tiers {
  readonly stores: readonly ChunkStore[];
  readonly remotes: readonly RemoteChunks[];
}

async function readFrom({ stores, remotes }: Tiers, id: ChunkId): Promise<Uint8Array> {
  let failure: Error | undefined;
  const tiers: readonly RemoteChunks[] = [...stores, ...remotes];
  for (const [position, tier] of tiers.entries()) {
    const encoded = await tier.get(id).catch((error: unknown) => {
      failure = asError(error);
      return undefined;
    });
    if (encoded === undefined) continue;
    const bytes = decoded(id, encoded);
    if (bytes instanceof Error) {
      failure = bytes;
      // The last one has the only copy: its owner decides what becomes of it.
      if (position < tiers.length - 1) await stores[position]?.delete([id]).catch(ignored);
      continue;
    }
    for (const faster of stores.slice(0, position)) await faster.put(id, encoded).catch(ignored);
    return bytes;
  }
  throw failure ?? missing(id);
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(messageOf(thrown));
}

function decoded(id: ChunkId, encoded: Uint8Array): Uint8Array | PlatformError {
  try {
    return decodeChunk(id, encoded);
  } catch (error) {
    if (error instanceof PlatformError) return error;
    throw error;
  }
}

/** A faster store that fails costs the next reader time, and this one nothing. */
function ignored(error: unknown): void {
  void messageOf(error);
}

function missing(id: ChunkId): PlatformError {
  return new PlatformError(`chunk ${id} is in none of the stores`, {
    code: "not_found",
    retryable: false,
    details: { chunkId: id },
  });
}
