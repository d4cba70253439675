/** What starts from an image have read, kept by image: the list by which the next one prefetches. */
import { randomUUID } from "node:crypto";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { messageOf } from "../../core/index.ts";
import type { ChunkId } from "../store/index.ts";

/** Chunks in a list: about 512 MiB of an image. */
const CHUNKS_MAX = 4_096;
/** The longest list, in bytes. */
export const ACCESS_LIST_BYTES_MAX = CHUNKS_MAX * 4;

/** Lists as files, `<dir>/<imageId>`, as `accessListBytes` gives them. */
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
    return readAccessList(bytes) ?? [];
  }

  /**
   * Adds what a start has read, and gives the list. One that cannot be kept costs the next start
   * time only.
   */
  async learn(imageId: ChunkId, chunks: readonly number[]): Promise<readonly number[]> {
    const list = mergedList(await this.of(imageId), chunks);
    const path = join(this.#dir, imageId);
    const temporary = `${path}.${randomUUID().slice(0, 8)}`;
    try {
      await mkdir(this.#dir, { recursive: true });
      await writeFile(temporary, accessListBytes(list));
      await rename(temporary, path);
    } catch (error) {
      this.#onError(error, `keeping what image ${imageId} reads: ${messageOf(error)}`);
    }
    return list;
  }
}

/** What the last start read, in its order, then what only earlier ones read; at most 4,096. */
export function mergedList(known: readonly number[], chunks: readonly number[]): readonly number[] {
  return [...new Set([...chunks, ...known])].slice(0, CHUNKS_MAX);
}

/** A list as bytes: u32 little endian, the number of the chunk that was read first at the front. */
export function accessListBytes(list: readonly number[]): Uint8Array {
  const bytes = Buffer.alloc(list.length * 4);
  for (const [position, chunk] of list.entries()) bytes.writeUInt32LE(chunk, position * 4);
  return bytes;
}

/**
 * The list in bytes that anybody may have made; undefined when they are none: too long, cut off,
 * or with a chunk twice. Whether the image has so many chunks is for who knows the image.
 */
export function readAccessList(bytes: Uint8Array): readonly number[] | undefined {
  if (bytes.byteLength % 4 !== 0 || bytes.byteLength > ACCESS_LIST_BYTES_MAX) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const list = Array.from({ length: bytes.byteLength / 4 }, (_, position) =>
    view.getUint32(position * 4, true),
  );
  return new Set(list).size === list.length ? list : undefined;
}
