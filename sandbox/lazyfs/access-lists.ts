/** What starts from an image have read, kept by image: the list by which the next one prefetches. */
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { messageOf } from "../../core/index.ts";
import type { ChunkId } from "../store/index.ts";

/** Chunks in a list: about 512 MiB of an image. */
const CHUNKS_MAX = 4_096;

/** Lists as files, `<dir>/<imageId>`: u32 little endian, the first chunk read at the front. */
export class AccessLists {
  readonly #dir: string;
  readonly #onError: (error: unknown, doing: string) => void;

  constructor(dir: string, onError: (error: unknown, doing: string) => void) {
    this.#dir = dir;
    this.#onError = onError;
  }

  /** The list of an image; empty when nothing was learnt, or it cannot be read. */
  async of(imageId: ChunkId): Promise<readonly number[]> {
    const bytes = await readFile(join(this.#dir, imageId)).catch(() => Buffer.alloc(0));
    return Array.from({ length: Math.floor(bytes.byteLength / 4) }, (_, position) =>
      bytes.readUInt32LE(position * 4),
    );
  }

  /** Adds what a start has read. A list that cannot be kept costs the next start time only. */
  async learn(imageId: ChunkId, chunks: readonly number[]): Promise<void> {
    const list = mergedList(await this.of(imageId), chunks);
    const bytes = Buffer.alloc(list.length * 4);
    for (const [position, chunk] of list.entries()) bytes.writeUInt32LE(chunk, position * 4);
    const path = join(this.#dir, imageId);
    const temporary = `${path}.${process.pid}`;
    try {
      await mkdir(this.#dir, { recursive: true });
      await writeFile(temporary, bytes);
      await rename(temporary, path);
    } catch (error) {
      this.#onError(error, `keeping what image ${imageId} reads: ${messageOf(error)}`);
    }
  }
}

/** What the last start read, in its order, then what only earlier ones read; at most 4,096. */
export function mergedList(known: readonly number[], chunks: readonly number[]): readonly number[] {
  return [...new Set([...chunks, ...known])].slice(0, CHUNKS_MAX);
}
