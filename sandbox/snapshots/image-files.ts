/**
 * Images of memory as chunks: a folder's files, cut into pieces that versions of one function
 * share where their memory is the same.
 *
 * Pieces are small, because memory differs in single pages; they lie at fixed places, because
 * pages do not move within a file.
 */
import { mkdir, open, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { ChunkSource } from "../store/chunk-source.ts";
import type { ChunkStore } from "../store/chunk-store.ts";
import { chunkIdOf, encodeChunk, type ChunkId } from "../store/chunk.ts";

/** One file of an image. */
export interface ImageFile {
  readonly name: string;
  readonly byteCount: number;
  /** Its pieces of `PIECE_BYTES`, the last one shorter. */
  readonly chunkIds: readonly ChunkId[];
}

/** Bytes of a piece; a multiple of the page, 4 KiB. */
export const PIECE_BYTES = 64 * 1_024;
/** Pieces stored or fetched at once. */
const PARALLEL = 8;

/** Stores all files of a folder; gives what they are made of, by name. */
export async function storeImage(store: ChunkStore, dir: string): Promise<readonly ImageFile[]> {
  const names = (await readdir(dir)).sort();
  const files: ImageFile[] = [];
  for (const name of names) files.push(await storeFile(store, dir, name));
  return files;
}

/**
 * Writes the files of an image into the folder `dir`, every piece verified.
 *
 * @throws PlatformError `not_found` or `unavailable` as the source does.
 */
export async function fetchImage(
  source: ChunkSource,
  files: readonly ImageFile[],
  dir: string,
): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  for (const file of files) await fetchFile(source, file, dir);
}

/**
 * What changes when a file of a folder is written to, removed or added: their names, sizes and
 * the times of their last change, which a program cannot set. Reads no content.
 */
export async function marksOf(dir: string): Promise<string> {
  const names = (await readdir(dir)).sort();
  const marks = names.map(async (name) => {
    const { size, ctimeNs } = await stat(join(dir, name), { bigint: true });
    return `${name} ${size} ${ctimeNs}`;
  });
  return (await Promise.all(marks)).join("\n");
}

async function storeFile(store: ChunkStore, dir: string, name: string): Promise<ImageFile> {
  const handle = await open(join(dir, name));
  try {
    const { size: byteCount } = await handle.stat();
    const chunkIds: ChunkId[] = Array.from({ length: Math.ceil(byteCount / PIECE_BYTES) });
    await inLanes(chunkIds.length, async (position) => {
      const piece = Buffer.alloc(Math.min(PIECE_BYTES, byteCount - position * PIECE_BYTES));
      await handle.read(piece, 0, piece.byteLength, position * PIECE_BYTES);
      const id = chunkIdOf(piece);
      chunkIds[position] = id;
      const known = await store.has([id]);
      if (!known.has(id)) await store.put(id, await encodeChunk(piece));
    });
    return { name, byteCount, chunkIds };
  } finally {
    await handle.close();
  }
}

async function fetchFile(source: ChunkSource, file: ImageFile, dir: string): Promise<void> {
  const handle = await open(join(dir, file.name), "wx", 0o600);
  try {
    await handle.truncate(file.byteCount);
    await inLanes(file.chunkIds.length, async (position) => {
      const piece = await source.read(file.chunkIds[position] ?? "");
      await handle.write(piece, 0, piece.byteLength, position * PIECE_BYTES);
    });
  } finally {
    await handle.close();
  }
}

/** Does `work` for 0 to `count` - 1, eight at once. */
export async function inLanes(
  count: number,
  work: (position: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let position = next++; position < count; position = next++) await work(position);
  };
  await Promise.all(Array.from({ length: PARALLEL }, lane));
}
