/**
 * Brings the chunks of one image to this machine: those that readers wait for at once, and
 * others ahead of them.
 *
 * Ahead are the chunks of the prefetch list, in its order, and those that are likely after one
 * that had to be waited for (`likely-chunks.ts`). What is ahead is fetched over a few lanes, is
 * put on the disk unread, and is verified when it is used.
 */
import type { ChunkSource, ChunkStore, ImageIndex, RemoteChunks } from "../store/index.ts";
import type { AccessTrace } from "./access-trace.ts";
import { LikelyChunks } from "./likely-chunks.ts";
import type { FilePiece } from "./read-file.ts";

export interface FetcherOptions {
  readonly index: ImageIndex;
  /** Reads a chunk from wherever it is and keeps it on the disk, verified. */
  readonly source: ChunkSource;
  /** The store on this machine's disk. */
  readonly local: ChunkStore;
  /** Where chunks come from that are not on the disk, the nearest first. */
  readonly remotes: readonly RemoteChunks[];
  /** What readers have used so far. */
  readonly trace: Pick<AccessTrace, "chunks">;
}

/** Chunks that are fetched ahead at once. */
const LANES = 16;

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
  readonly #likely: LikelyChunks;
  /** How many uses of the trace the guesses know of. */
  #usesSeen = 0;
  #closed = false;

  constructor(options: FetcherOptions) {
    this.#options = options;
    this.#likely = new LikelyChunks(options.index);
  }

  /** The bytes of a chunk that somebody waits for. @throws PlatformError as its source does */
  demand(waited: FilePiece): Promise<Uint8Array> {
    const { index, source, local } = this.#options;
    const { chunk } = waited;
    this.#known.add(chunk);
    this.#demanded.add(chunk);
    const id = index.chunkId(chunk);
    // If it is on its way it comes no sooner by being asked for twice.
    const reading = this.#fetching.get(chunk)?.then(() => source.read(id)) ?? source.read(id);
    // Guesses would take the line from who waits: they follow once the disk has been looked at.
    void local.has([id]).then(
      () => this.#guess(waited),
      () => undefined,
    );
    return reading;
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

  #guess(waited: FilePiece): void {
    const used = this.#options.trace.chunks(this.#usesSeen);
    this.#usesSeen += used.length;
    for (const chunk of used) this.#likely.use(chunk);
    this.#queue(this.#likely.after(waited));
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
