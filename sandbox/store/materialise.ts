/**
 * Restores an image to a plain folder: what a node does that cannot mount images, and how an
 * image is looked into. Owners are restored by root only.
 */
import { randomUUID } from "node:crypto";
import {
  chmodSync,
  closeSync,
  lchownSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  openSync,
  symlinkSync,
  ftruncateSync,
  writeSync,
} from "node:fs";
import { rename, rm } from "node:fs/promises";
import { setImmediate as turn } from "node:timers/promises";
import { messageOf, PlatformError, systemCodeOf } from "../../core/index.ts";
import { ReadAhead } from "./read-ahead.ts";
import type { ChunkSource } from "./chunk-source.ts";
import type { ChunkId } from "./chunk.ts";
import { HOLE, S_IFDIR, S_IFLNK, S_IFREG, type ImageIndex } from "./image-index.ts";
import { readImageIndex } from "./open-index.ts";
import { makeSpecialFile } from "./special-file.ts";
import { pathIn } from "./scan-tree.ts";
import { readXattrs, setTreeXattrs, type Xattr } from "./xattrs.ts";

/** What was restored. */
export interface MaterialiseFigures {
  readonly fileCount: number;
  readonly bytes: number;
  /** `unset` where `setfattr` is not installed and the image has attributes. */
  readonly xattrs: "set" | "unset";
}

const MODE_BITS = 0o7_777;
const ENTRIES_PER_TURN = 128;

/**
 * Restores image `imageId` as the folder `dir`, which must not be there. It appears as a whole
 * or not at all.
 *
 * @throws PlatformError `conflict` when `dir` is there, `unavailable` when the disk fails, and
 *   what reading the image throws
 */
export async function materialise(
  imageId: ChunkId,
  source: ChunkSource,
  dir: string,
): Promise<MaterialiseFigures> {
  const index = await readImageIndex(source, imageId);
  const temporary = `${dir}.${randomUUID()}`;
  try {
    mkdirSync(temporary, { recursive: true });
    const figures = await new Restore(index, source, temporary).run();
    await rename(temporary, dir);
    return figures;
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    throw translated(imageId, dir, error);
  }
}

function translated(imageId: ChunkId, dir: string, error: unknown): unknown {
  if (error instanceof PlatformError) return error;
  const code = systemCodeOf(error);
  const isThere = code === "ENOTEMPTY" || code === "EEXIST";
  const what = isThere ? "there is something already" : messageOf(error);
  return new PlatformError(`restoring image ${imageId} to ${dir} failed: ${what}`, {
    code: isThere ? "conflict" : "unavailable",
    retryable: !isThere,
    details: { imageId },
    cause: error,
  });
}

/** One name of the tree, by its path (latin1). */
interface NamedInode {
  readonly path: string;
  readonly inode: number;
}

class Restore {
  readonly #index: ImageIndex;
  readonly #rootDir: string;
  readonly #readAhead: ReadAhead;
  /** The first path of each inode that has been made. */
  readonly #made = new Map<number, string>();
  readonly #isRoot = process.getuid?.() === 0;
  #bytes = 0;
  #done = 0;

  constructor(index: ImageIndex, source: ChunkSource, rootDir: string) {
    this.#index = index;
    this.#rootDir = rootDir;
    this.#readAhead = new ReadAhead(index, source);
  }

  async run(): Promise<MaterialiseFigures> {
    const folders: NamedInode[] = [{ path: ".", inode: 0 }];
    const links: NamedInode[] = [];
    // Links last: until then no path of the tree leads through one.
    for (const { path, inode } of namesOf(this.#index)) {
      if ((this.#done += 1) % ENTRIES_PER_TURN === 0) await turn();
      const type = this.#index.type(inode);
      if (type === S_IFLNK) links.push({ path, inode });
      else if (type === S_IFDIR) {
        mkdirSync(this.#pathOf(path));
        folders.push({ path, inode });
      } else await this.#file({ path, inode });
    }
    for (const link of links) this.#link(link);
    const xattrs = setTreeXattrs(this.#rootDir, this.#xattrs(folders)) ? "set" : "unset";
    // Innermost first: what is made in a folder changes its time.
    for (const folder of folders.reverse()) this.#finish(folder);
    return { fileCount: this.#made.size - links.length, bytes: this.#bytes, xattrs };
  }

  async #file({ path, inode }: NamedInode): Promise<void> {
    const known = this.#made.get(inode);
    if (known !== undefined) {
      linkSync(this.#pathOf(known), this.#pathOf(path));
      return;
    }
    this.#made.set(inode, path);
    if (this.#index.type(inode) === S_IFREG) await this.#content({ path, inode });
    else makeSpecialFile(this.#pathOf(path), this.#index.mode(inode), this.#index.device(inode));
    this.#finish({ path, inode });
  }

  async #content({ path, inode }: NamedInode): Promise<void> {
    const index = this.#index;
    const file = openSync(this.#pathOf(path), "wx", 0o600);
    try {
      const pieces = index.pieceCount(inode);
      for (let piece = 0; piece < pieces; piece += 1) {
        const { chunk, start, byteCount } = index.extent(inode, piece);
        if (chunk === HOLE) continue;
        const bytes = this.#readAhead.held(chunk) ?? (await this.#readAhead.read(chunk));
        writeSync(file, bytes, start, byteCount, piece * index.layout.pieceBytes);
        this.#bytes += byteCount;
      }
      const last = pieces === 0 ? undefined : index.extent(inode, pieces - 1);
      if (last?.chunk === HOLE) ftruncateSync(file, index.size(inode));
    } finally {
      closeSync(file);
    }
  }

  #link({ path, inode }: NamedInode): void {
    const known = this.#made.get(inode);
    if (known !== undefined) {
      linkSync(this.#pathOf(known), this.#pathOf(path));
      return;
    }
    this.#made.set(inode, path);
    symlinkSync(Buffer.from(this.#index.linkTarget(inode)), this.#pathOf(path));
    this.#finish({ path, inode });
  }

  /** Owner, mode and time, in this order: changing the owner clears set-user-id bits. */
  #finish({ path, inode }: NamedInode): void {
    const index = this.#index;
    const at = this.#pathOf(path);
    if (this.#isRoot) lchownSync(at, index.uid(inode), index.gid(inode));
    if (index.type(inode) !== S_IFLNK) chmodSync(at, index.mode(inode) & MODE_BITS);
    const mtime = index.mtimeSeconds(inode) + index.mtimeNs(inode) / 1e9;
    lutimesSync(at, mtime, mtime);
  }

  #xattrs(folders: readonly NamedInode[]): ReadonlyMap<string, readonly Xattr[]> {
    const all = [...folders, ...[...this.#made].map(([inode, path]) => ({ path, inode }))];
    const found = all.map(({ path, inode }) => {
      return [path, readXattrs(this.#index.xattrBytes(inode)) ?? []] as const;
    });
    return new Map(found.filter(([, list]) => list.length > 0));
  }

  #pathOf(path: string): Buffer {
    return pathIn(this.#rootDir, path);
  }
}

/** Every name below the root, each folder before what is in it. */
function* namesOf(index: ImageIndex): Generator<NamedInode> {
  const open: NamedInode[] = [{ path: ".", inode: 0 }];
  for (let folder = open.pop(); folder !== undefined; folder = open.pop()) {
    const inside: NamedInode[] = [];
    for (const { name, inode } of index.entries(folder.inode)) {
      const text = Buffer.from(name).toString("latin1");
      const path = folder.path === "." ? text : `${folder.path}/${text}`;
      yield { path, inode };
      if (index.type(inode) === S_IFDIR) inside.push({ path, inode });
    }
    open.push(...inside.reverse());
  }
}
