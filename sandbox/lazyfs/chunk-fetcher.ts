/**
 * Brings the chunks of one image to this machine: those that readers wait for at once, and
 * others ahead of them.
 *
 * Ahead are the chunks of the prefetch list, in its order, and those that follow a chunk which
 * had to be waited for, twice as many each time that proved right. What is ahead is fetched
 * over a few lanes, is put on the disk unread, and is verified when it is used.
 */
import type { ChunkSource, ChunkStore, ImageIndex, RemoteChunks } from "../store/index.ts";

export interface FetcherOptions {
  readonly index: ImageIndex;
  /** Reads a chunk from wherever it is and keeps it on the disk, verified. */
  readonly source: ChunkSource;
  /** The store on this machine's disk. */
  readonly local: ChunkStore;
  /** Where chunks come from that are not on the disk, the nearest first. */
  readonly remotes: readonly RemoteChunks[];
}

/** Chunks that are fetched ahead at once. */
const LANES = 16;
const FOLLOWING_MIN = 2;
const FOLLOWING_MAX = 32;

export class ChunkFetcher {
  readonly #options: FetcherOptions;
  /** Chunks to be fetched ahead, the next one last. */
  #ahead: number[] = [];
  /** Chunks that are on the disk or on their way. */
  readonly #known = new Set<number>();
  /** What is being fetched ahead at this moment. */
  readonly #fetching = new Map<number, Promise<void>>();
  /** Chunks that somebody waits for or has waited for: no lane fetches them too. */
  readonly #demanded = new Set<number>();
  #lanes = 0;
  #following = FOLLOWING_MIN;
  /** The chunks that were guessed to follow. */
  readonly #guessed = new Set<number>();
  #closed = false;

  constructor(options: FetcherOptions) {
    this.#options = options;
  }

  /** The bytes of a chunk that somebody waits for. @throws PlatformError as its source does */
  async demand(chunk: number): Promise<Uint8Array> {
    const { index, source } = this.#options;
    this.#known.add(chunk);
    this.#guess(chunk);
    this.#demanded.add(chunk);
    // It is on its way: it comes no sooner if it is asked for twice.
    await this.#fetching.get(chunk);
    return source.read(index.chunkId(chunk));
  }

  /** Fetches these before anything else that is ahead, in this order. */
  async prefetch(chunks: readonly number[]): Promise<void> {
    const { index, local } = this.#options;
    const wanted = chunks.filter((chunk) => chunk >= 0 && chunk < index.chunkCount);
    const there = await local.has(wanted.map((chunk) => index.chunkId(chunk)));
    const missing = wanted.filter((chunk) => !there.has(index.chunkId(chunk)));
    this.#queue(missing);
  }

  /** Fetches nothing more ahead. */
  close(): void {
    this.#closed = true;
    this.#ahead = [];
  }

  #guess(chunk: number): void {
    const wasRight = this.#guessed.has(chunk);
    this.#following = wasRight ? Math.min(FOLLOWING_MAX, this.#following * 2) : FOLLOWING_MIN;
    const last = Math.min(this.#options.index.chunkCount - 1, chunk + this.#following);
    const following = [];
    for (let next = chunk + 1; next <= last; next += 1) following.push(next);
    // The chunk after the last guess shows whether more would have been right too.
    for (const next of [...following, last + 1]) this.#guessed.add(next);
    this.#queue(following);
  }

  #queue(chunks: readonly number[]): void {
    const wanted = chunks.filter((chunk) => !this.#known.has(chunk));
    for (const chunk of wanted) this.#known.add(chunk);
    this.#ahead.push(...wanted.toReversed());
    for (; this.#lanes < LANES && this.#lanes < this.#ahead.length; this.#lanes += 1) {
      void this.#lane();
    }
  }

  async #lane(): Promise<void> {
    for (let chunk = this.#ahead.pop(); chunk !== undefined; chunk = this.#ahead.pop()) {
      const key = chunk;
      if (this.#demanded.has(key)) continue;
      // What cannot be fetched ahead is fetched when it is waited for, and fails then.
      const fetching = this.#fetch(key).catch(() => void this.#known.delete(key));
      this.#fetching.set(key, fetching);
      await fetching;
      this.#fetching.delete(key);
    }
    this.#lanes -= 1;
  }

  async #fetch(chunk: number): Promise<void> {
    const { index, local, remotes } = this.#options;
    const id = index.chunkId(chunk);
    if ((await local.has([id])).has(id)) return;
    for (const remote of remotes) {
      const encoded = this.#closed ? undefined : await remote.get(id);
      if (encoded === undefined) continue;
      await local.put(id, encoded);
      return;
    }
    this.#known.delete(chunk);
  }
}
