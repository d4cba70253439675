/**
 * Chunks as files: `<dir>/ab/abcdef…`, in a folder with or without a cap on its size.
 *
 * A chunk is written beside its place and renamed into it, so a reader sees all of it or
 * nothing, and writers of one chunk do not disturb each other. With a cap, those used longest
 * ago go first; the order outlives the process as far as the file system keeps access times.
 */
import { randomUUID } from "node:crypto";
import { access, mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { messageOf, PlatformError, systemCodeOf } from "../../core/index.ts";
import { checkChunkId, type ChunkStore, type StoredChunk } from "./chunk-store.ts";
import { isChunkId, type ChunkId } from "./chunk.ts";

/** A folder of chunks, which may be read by path too. */
export interface DiskTier extends ChunkStore {
  /** Bytes that it holds; known with a cap only, 0 otherwise. */
  readonly byteCount: number;
}

export interface DiskTierOptions {
  readonly dir: string;
  /** Most bytes of encodings kept; without it nothing is evicted. */
  readonly byteCountMax?: number;
}

/** Files looked at or removed at once. */
const PARALLEL = 32;

/** Where the folder keeps a chunk; for readers that may not wait for a promise. */
export function chunkPath(dir: string, id: ChunkId): string {
  return join(dir, id.slice(0, 2), id);
}

/** Opens a folder of chunks, which is made when it is not there. @throws PlatformError */
export async function openDiskTier({ dir, byteCountMax }: DiskTierOptions): Promise<DiskTier> {
  await guarded(`making ${dir}`, () => mkdir(dir, { recursive: true }));
  const order = byteCountMax === undefined ? undefined : new UseOrder(byteCountMax);
  if (order !== undefined) await fill(order, dir);
  const remove = (id: ChunkId): Promise<void> => rm(chunkPath(dir, id), { force: true });
  return {
    get byteCount() {
      return order?.byteCount ?? 0;
    },
    get: async (id) => {
      checkChunkId(id);
      const encoded = await read(chunkPath(dir, id));
      if (encoded === undefined) order?.forget(id);
      else order?.use(id, encoded.byteLength);
      return encoded;
    },
    put: async (id, encoded) => {
      checkChunkId(id);
      await guarded(`storing chunk ${id}`, () => write(chunkPath(dir, id), encoded));
      order?.use(id, encoded.byteLength);
      for (const old of order?.shrink() ?? []) await guarded(`evicting ${old}`, () => remove(old));
    },
    has: async (ids) => {
      ids.forEach(checkChunkId);
      const found = new Set<ChunkId>();
      await inTurns(ids, async (id) => {
        if (await exists(chunkPath(dir, id))) found.add(id);
      });
      return found;
    },
    delete: async (ids) => {
      ids.forEach(checkChunkId);
      await inTurns(ids, async (id) => {
        order?.forget(id);
        await guarded(`removing chunk ${id}`, () => remove(id));
      });
    },
    list: () => list(dir),
  };
}

/** Which chunks were used longest ago, and how much all of them take. */
class UseOrder {
  readonly #byteCountMax: number;
  readonly #sizes = new Map<ChunkId, number>();
  byteCount = 0;

  constructor(byteCountMax: number) {
    this.#byteCountMax = byteCountMax;
  }

  use(id: ChunkId, byteCount: number): void {
    this.forget(id);
    this.#sizes.set(id, byteCount);
    this.byteCount += byteCount;
  }

  forget(id: ChunkId): void {
    this.byteCount -= this.#sizes.get(id) ?? 0;
    this.#sizes.delete(id);
  }

  /** Forgets the oldest until the rest fits; gives what was forgotten. */
  shrink(): readonly ChunkId[] {
    const gone: ChunkId[] = [];
    for (const id of this.#sizes.keys()) {
      if (this.byteCount <= this.#byteCountMax) break;
      this.forget(id);
      gone.push(id);
    }
    return gone;
  }
}

/** What an earlier process left, in the order of its last use; half-written files go. */
async function fill(order: UseOrder, dir: string): Promise<void> {
  const found: { readonly id: ChunkId; readonly byteCount: number; readonly usedAtMs: number }[] =
    [];
  for (const folder of await readdir(dir)) {
    const names = await readdir(join(dir, folder)).catch(() => []);
    await inTurns(names, async (name) => {
      const path = join(dir, folder, name);
      const stats = await stat(path).catch(() => undefined);
      if (stats === undefined) return;
      const usedAtMs = Math.max(stats.atimeMs, stats.mtimeMs);
      if (isChunkId(name)) found.push({ id: name, byteCount: stats.size, usedAtMs });
      else await rm(path, { force: true });
    });
  }
  found.sort((left, right) => left.usedAtMs - right.usedAtMs);
  for (const { id, byteCount } of found) order.use(id, byteCount);
  for (const id of order.shrink()) await rm(chunkPath(dir, id), { force: true });
}

async function* list(dir: string): AsyncIterable<StoredChunk> {
  for (const folder of await readdir(dir)) {
    for (const id of await readdir(join(dir, folder)).catch(() => [])) {
      const stats = await stat(join(dir, folder, id)).catch(() => undefined);
      if (stats === undefined || !isChunkId(id)) continue;
      yield { id, byteCount: stats.size, storedAtMs: stats.mtimeMs };
    }
  }
}

async function write(path: string, encoded: Uint8Array): Promise<void> {
  const temporary = `${path}.${randomUUID()}`;
  try {
    await writeFile(temporary, encoded, { flag: "wx" }).catch(async (error: unknown) => {
      if (systemCodeOf(error) !== "ENOENT") throw error;
      await mkdir(dirname(path), { recursive: true });
      await writeFile(temporary, encoded, { flag: "wx" });
    });
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

async function read(path: string): Promise<Uint8Array | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (systemCodeOf(error) === "ENOENT") return undefined;
    throw unavailable(`reading ${path}`, error);
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch (error) {
    if (systemCodeOf(error) === "ENOENT") return false;
    throw unavailable(`looking for ${path}`, error);
  }
}

async function guarded<T>(doing: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw unavailable(doing, error);
  }
}

async function inTurns<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  for (let start = 0; start < items.length; start += PARALLEL) {
    await Promise.all(items.slice(start, start + PARALLEL).map(work));
  }
}

function unavailable(doing: string, error: unknown): PlatformError {
  return new PlatformError(`${doing} failed: ${messageOf(error)}`, {
    code: "unavailable",
    retryable: true,
    cause: error,
  });
}
