/** Reads an image's chunks in the order of their numbers, some ahead of who needs them. */
import type { ChunkSource } from "./chunk-source.ts";
import type { ImageIndex } from "./image-index.ts";

/** Chunks that are read before they are asked for. */
const AHEAD = 16;
/** Chunks kept after they were asked for: small files that repeat lie in earlier ones. */
const KEPT = 64;

/** Chunks for a reader that goes through a tree in the order in which it was cut. */
export class ReadAhead {
  readonly #index: ImageIndex;
  readonly #source: ChunkSource;
  /** By number, the one that was read first at the front. */
  readonly #reads = new Map<number, Promise<Uint8Array>>();
  readonly #held = new Map<number, Uint8Array>();
  #next = 0;

  constructor(index: ImageIndex, source: ChunkSource) {
    this.#index = index;
    this.#source = source;
  }

  /** A chunk that is there already. */
  held(chunk: number): Uint8Array | undefined {
    return this.#held.get(chunk);
  }

  /** The bytes of a chunk. @throws PlatformError as the source does */
  async read(chunk: number): Promise<Uint8Array> {
    const last = Math.min(this.#index.chunkCount, chunk + 1 + AHEAD);
    for (this.#next = Math.max(this.#next, chunk); this.#next < last; this.#next += 1) {
      void this.#begin(this.#next);
    }
    const bytes = await (this.#reads.get(chunk) ?? this.#begin(chunk));
    this.#reads.delete(chunk);
    this.#held.set(chunk, bytes);
    const [oldest] = this.#held.keys();
    if (this.#held.size > KEPT && oldest !== undefined) this.#held.delete(oldest);
    return bytes;
  }

  #begin(chunk: number): Promise<Uint8Array> {
    const read = this.#source.read(this.#index.chunkId(chunk));
    // It may fail before it is asked for; who asks hears of it.
    read.catch(() => undefined);
    this.#reads.set(chunk, read);
    return read;
  }
}
