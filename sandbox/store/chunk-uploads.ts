/** Puts chunks into a store: asks for many at once, encodes and stores those it lacks. */
import type { ChunkStore } from "./chunk-store.ts";
import { encodeChunk } from "./chunk.ts";
import type { CutChunk } from "./cut-files.ts";

/** What an upload cost. */
export interface UploadFigures {
  readonly newChunkCount: number;
  /** Bytes of the chunks that the store lacked. */
  readonly newBytes: number;
  /** Bytes of their encodings. */
  readonly storedBytes: number;
}

const CHUNKS_PER_QUESTION = 64;
/** Encodings made and stored at once. */
const PARALLEL = 4;

/** Chunks on their way into a store: `add` what there is, `relieve` often, `finish` at last. */
export class ChunkUploads {
  readonly #store: ChunkStore;
  #waiting: CutChunk[] = [];
  #flushing: Promise<void> = Promise.resolve();
  #newChunkCount = 0;
  #newBytes = 0;
  #storedBytes = 0;

  constructor(store: ChunkStore) {
    this.#store = store;
  }

  add(chunk: CutChunk): void {
    this.#waiting.push(chunk);
  }

  get figures(): UploadFigures {
    return {
      newChunkCount: this.#newChunkCount,
      newBytes: this.#newBytes,
      storedBytes: this.#storedBytes,
    };
  }

  /**
   * Begins to store what waits when it is much; waits itself while the last such is under way,
   * so that no more than twice as many chunks are in memory.
   *
   * @throws PlatformError as the store does
   */
  async relieve(): Promise<void> {
    if (this.#waiting.length < CHUNKS_PER_QUESTION) return;
    await this.#flushing;
    this.#flushing = this.#flush();
    // It is waited for by the next one, which may come when it has failed already.
    this.#flushing.catch(() => undefined);
  }

  /** Stores all that is left. @throws PlatformError as the store does */
  async finish(): Promise<void> {
    await this.#flushing;
    await this.#flush();
  }

  async #flush(): Promise<void> {
    const chunks = this.#waiting;
    this.#waiting = [];
    const known = await this.#store.has(chunks.map(({ id }) => id));
    const missing = chunks.filter(({ id }) => !known.has(id));
    const lane = async (): Promise<void> => {
      for (let chunk = missing.pop(); chunk !== undefined; chunk = missing.pop()) {
        await this.#put(chunk);
      }
    };
    await Promise.all(Array.from({ length: PARALLEL }, lane));
  }

  async #put({ id, bytes }: CutChunk): Promise<void> {
    const encoded = await encodeChunk(bytes);
    await this.#store.put(id, encoded);
    this.#newChunkCount += 1;
    this.#newBytes += bytes.byteLength;
    this.#storedBytes += encoded.byteLength;
  }
}
