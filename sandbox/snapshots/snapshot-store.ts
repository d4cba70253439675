/**
 * Memory snapshots on one node: what each is made of, which may be used, and which were bad.
 *
 * Under its folder lie `chunks/` (content-addressed), `manifests/KEY.json` and `bad/KEY.json`,
 * and `ready/KEY/`: images put together from verified chunks by this process, as runsc reads
 * them. What an earlier process put together is not trusted and made anew, and what has been
 * written to since is bad: an image that is not compressed does not show that it is damaged.
 */
import { createHash, randomUUID } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { MS_PER_MINUTE, PlatformError, type Clock } from "../../core/index.ts";
import { createChunkSource, type ChunkSource, type RemoteChunks } from "../store/chunk-source.ts";
import type { ChunkId } from "../store/chunk.ts";
import { openDiskTier, type DiskTier } from "../store/disk-tier.ts";
import { fetchImage, marksOf, storeImage } from "./image-files.ts";
import type { SnapshotRecord } from "./manifest.ts";

export interface SnapshotStoreOptions {
  readonly dir: string;
  /** Most bytes of chunks; those used longest ago go first. */
  readonly byteCountMax?: number;
  /** Most bytes of images that are put together, beside the last one. */
  readonly readyBytesMax?: number;
  readonly clock: Clock;
  /** Where chunks of other nodes' snapshots are fetched from. */
  readonly remote?: RemoteChunks;
}

const BYTE_COUNT_MAX = 8 * 1_024 ** 3;
/** Older ones are made anew: libraries and addresses in memory age too. */
const AGE_MS_MAX = 7 * 24 * 60 * MS_PER_MINUTE;
/** After so many bad ones no more are made of the same key. */
const BAD_MAX = 3;
const READY_MAX = 16;
const READY_BYTES_MAX = 8 * 1_024 ** 3;
const KEY = /^[0-9a-f]{64}$/;

export class SnapshotStore {
  readonly #options: SnapshotStoreOptions;
  readonly #chunks: DiskTier;
  readonly #source: ChunkSource;
  readonly #records = new Map<string, SnapshotRecord>();
  readonly #bad = new Map<string, number>();
  /** Those used longest ago first. */
  readonly #ready = new Map<string, Promise<ReadyImage>>();

  private constructor(options: SnapshotStoreOptions, chunks: DiskTier) {
    this.#options = options;
    this.#chunks = chunks;
    this.#source = createChunkSource([chunks], options.remote ? [options.remote] : []);
  }

  /** Opens the folder, which is made when it is not there. @throws PlatformError `unavailable` */
  static async open(options: SnapshotStoreOptions): Promise<SnapshotStore> {
    const { dir, byteCountMax = BYTE_COUNT_MAX } = options;
    const chunks = await openDiskTier({ dir: join(dir, "chunks"), byteCountMax });
    const store = new SnapshotStore(options, chunks);
    await rm(join(dir, "ready"), { recursive: true, force: true });
    for (const folder of ["manifests", "bad", "ready"]) {
      await mkdir(join(dir, folder), { recursive: true, mode: 0o700 });
    }
    await store.#load();
    return store;
  }

  /** What the server knows the usable snapshots by, the oldest first. */
  get snapshotIds(): readonly string[] {
    return [...this.#records.values()].map(({ snapshotId }) => snapshotId);
  }

  /** The snapshot of a key, if there is one that may be used. */
  find(key: string): SnapshotRecord | undefined {
    const record = this.#records.get(key);
    if (record === undefined) return undefined;
    const isOld = this.#options.clock.nowMs() - record.madeAtMs > AGE_MS_MAX;
    return isOld ? undefined : record;
  }

  /** Whether a snapshot of this key may be made: there is none, and not too many were bad. */
  wants(key: string): boolean {
    return this.find(key) === undefined && (this.#bad.get(key) ?? 0) < BAD_MAX;
  }

  /** Takes the image that lies in `imageDir`, which goes. @throws PlatformError `unavailable` */
  async put(key: string, snapshotId: string, imageDir: string): Promise<SnapshotRecord> {
    const files = await storeImage(this.#chunks, imageDir);
    const record = { key, snapshotId, madeAtMs: this.#options.clock.nowMs(), files };
    await this.#write("manifests", key, record);
    await this.#forgetReady(key);
    const path = this.#readyPath(key);
    await rename(imageDir, path);
    this.#ready.set(key, Promise.resolve(await readyIn(path, record)));
    this.#records.set(key, record);
    await this.#shrinkReady();
    return record;
  }

  /** Takes over a snapshot that another node made; its chunks come when it is put together. */
  async adopt(record: SnapshotRecord): Promise<void> {
    if (!this.wants(record.key)) return;
    await this.#write("manifests", record.key, record);
    this.#records.set(record.key, record);
  }

  /** A chunk as this node keeps it. @throws PlatformError `not_found` */
  async encoded(id: ChunkId): Promise<Uint8Array> {
    const encoded = await this.#chunks.get(id);
    if (encoded !== undefined) return encoded;
    throw new PlatformError(`chunk ${id} was evicted`, { code: "not_found", retryable: false });
  }

  /**
   * The folder with a snapshot's files, put together from verified chunks.
   *
   * @throws PlatformError `not_found` when chunks were evicted, `unavailable` when one is damaged
   *   or a file of it was written to since
   */
  async prepare(record: SnapshotRecord): Promise<string> {
    const known = this.#ready.get(record.key);
    if (known !== undefined) {
      this.#ready.delete(record.key);
      this.#ready.set(record.key, known);
      return untouched(await known);
    }
    const preparing = this.#assemble(record);
    this.#ready.set(record.key, preparing);
    try {
      const { path } = await preparing;
      await this.#shrinkReady();
      return path;
    } catch (error) {
      this.#ready.delete(record.key);
      throw error;
    }
  }

  /** Forgets a snapshot that is not whole any more; another may be made. */
  async drop(key: string): Promise<void> {
    this.#records.delete(key);
    await this.#forgetReady(key);
    await rm(this.#path("manifests", key), { force: true });
  }

  /** Takes a bad snapshot out of use for good, chunks included, and notes why. */
  async quarantine(record: SnapshotRecord, reason: string): Promise<void> {
    const { key, files } = record;
    // Two who restored from it at once found one snapshot bad.
    if (this.#records.get(key) !== record) return;
    const count = (this.#bad.get(key) ?? 0) + 1;
    this.#bad.set(key, count);
    await this.drop(key);
    await this.#write("bad", key, { count, reason, atMs: this.#options.clock.nowMs() });
    const others = [...this.#records.values()].flatMap((one) => one.files);
    const shared = new Set(others.flatMap(({ chunkIds }) => chunkIds));
    const own = files.flatMap(({ chunkIds }) => chunkIds).filter((id) => !shared.has(id));
    await this.#chunks.delete([...new Set(own)]);
  }

  async #assemble(record: SnapshotRecord): Promise<ReadyImage> {
    const { key, files } = record;
    const path = this.#readyPath(key);
    const temporary = `${path}.${randomUUID()}`;
    try {
      await fetchImage(this.#source, files, temporary);
      await rm(path, { recursive: true, force: true });
      await rename(temporary, path);
      return await readyIn(path, record);
    } catch (error) {
      await rm(temporary, { recursive: true, force: true });
      throw error;
    }
  }

  async #shrinkReady(): Promise<void> {
    const { readyBytesMax = READY_BYTES_MAX } = this.#options;
    let [count, byteCount] = [0, 0];
    for (const [key, image] of [...this.#ready].reverse()) {
      count += 1;
      byteCount += (await image.catch(() => undefined))?.byteCount ?? 0;
      const isSurplus = count > READY_MAX || byteCount > readyBytesMax;
      if (count > 1 && isSurplus && this.#ready.get(key) === image) await this.#forgetReady(key);
    }
  }

  async #forgetReady(key: string): Promise<void> {
    this.#ready.delete(key);
    await rm(this.#readyPath(key), { recursive: true, force: true });
  }

  #readyPath(key: string): string {
    return join(this.#options.dir, "ready", key);
  }

  #path(folder: "manifests" | "bad", key: string): string {
    if (!KEY.test(key)) {
      throw new PlatformError(`"${key.slice(0, 80)}" is no key of a snapshot`, {
        code: "invalid_request",
        retryable: false,
      });
    }
    return join(this.#options.dir, folder, `${key}.json`);
  }

  /** With its own digest, so that one that was cut off or changed is seen. */
  async #write(folder: "manifests" | "bad", key: string, value: object): Promise<void> {
    const path = this.#path(folder, key);
    const body = JSON.stringify(value);
    const temporary = `${path}.${randomUUID()}`;
    await writeFile(temporary, `${digestOf(body)}\n${body}`, { mode: 0o600 });
    await rename(temporary, path);
  }

  async #load(): Promise<void> {
    const found: SnapshotRecord[] = [];
    for (const name of await readdir(join(this.#options.dir, "manifests"))) {
      const record = await this.#read<SnapshotRecord>("manifests", name);
      if (record?.key === name.replace(/\.json$/, "")) found.push(record);
    }
    found.sort((one, other) => one.madeAtMs - other.madeAtMs);
    for (const record of found) this.#records.set(record.key, record);
    for (const name of await readdir(join(this.#options.dir, "bad"))) {
      const noted = await this.#read<{ readonly count: number }>("bad", name);
      // A note that cannot be read bars its key: there was something wrong with it.
      this.#bad.set(name.replace(/\.json$/, ""), noted?.count ?? BAD_MAX);
    }
  }

  async #read<Value>(folder: string, name: string): Promise<Value | undefined> {
    const text = await readFile(join(this.#options.dir, folder, name), "utf8");
    const end = text.indexOf("\n");
    const body = text.slice(end + 1);
    return text.slice(0, end) === digestOf(body) ? (JSON.parse(body) as Value) : undefined;
  }
}

/** An image that is put together. */
interface ReadyImage {
  readonly path: string;
  readonly byteCount: number;
  /** What of its files changes when one is written to. */
  readonly marks: string;
}

async function readyIn(path: string, { files }: SnapshotRecord): Promise<ReadyImage> {
  const byteCount = files.reduce((sum, file) => sum + file.byteCount, 0);
  return { path, byteCount, marks: await marksOf(path) };
}

async function untouched({ path, marks }: ReadyImage): Promise<string> {
  if ((await marksOf(path)) === marks) return path;
  throw new PlatformError(`the image in ${path} was written to after it was put together`, {
    code: "unavailable",
    retryable: false,
  });
}

function digestOf(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
