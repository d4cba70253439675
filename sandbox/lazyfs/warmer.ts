/**
 * Tells the kernel what it is about to ask for, so that it need not.
 *
 * A program that imports many small modules asks two things for each: what the name is, and what
 * is in it. Where names of a folder are looked up one by one, the whole folder is listed, by which
 * the kernel learns all its names; and once something of a pack was read, the other small files of
 * that pack go to the kernel's cache unasked, as far as it knows their names.
 *
 * A thread of its own does so: what it writes may wait for a page that the kernel holds until a
 * read is answered, and threads that answer must not wait for that. All of it only saves time: an
 * error means that the kernel will ask after all.
 */
import { readdirSync, writeSync } from "node:fs";
import { join } from "node:path";
import { HOLE, S_IFREG, type ImageIndex } from "../store/index.ts";
import { writeUInt64 } from "./fuse-protocol.ts";
import type { WarmHint } from "./warm-hints.ts";

export interface WarmerOptions {
  readonly index: ImageIndex;
  readonly mountPoint: string;
  /** The bytes of a chunk that is on this machine. */
  readonly bytesOf: (chunk: number) => Uint8Array | undefined;
  /** Makes the kernel ask for all names of a folder. */
  readonly list: (path: string) => void;
  /** Hands a message to the kernel. */
  readonly send: (message: Buffer) => void;
}

/** Larger files are read in few large reads anyway. */
const SMALL_BYTES_MAX = 128 * 1_024;
/** Header of a reply, node, offset, size, and four bytes of nothing. */
const STORE_HEADER_BYTES = 40;
/** `FUSE_NOTIFY_STORE`; such a message has it where replies have their error. */
const NOTIFY_STORE = 4;

export class Warmer {
  readonly #options: WarmerOptions;
  /** Folders whose names the kernel knows. */
  readonly #listed = new Set<number>();
  /** Chunks of which something was read. */
  readonly #used = new Set<number>();
  readonly #stored = new Set<number>();
  /** The small files of each chunk. */
  #filesOf: ReadonlyMap<number, readonly number[]> | undefined;
  readonly #message = Buffer.alloc(STORE_HEADER_BYTES + SMALL_BYTES_MAX);

  constructor(options: WarmerOptions) {
    this.#options = options;
  }

  /** Does what follows from what a thread has noticed. Never throws. */
  take(hint: WarmHint): void {
    try {
      if (hint.type === "chunk") this.#use(hint.chunk);
      else this.#learn(hint.inode, hint.type === "folder");
    } catch {
      // The kernel will ask.
    }
  }

  #learn(folder: number, isToBeListed: boolean): void {
    if (this.#listed.has(folder)) return;
    const { index, mountPoint, list } = this.#options;
    if (isToBeListed) list(join(mountPoint, pathOf(index, folder)));
    this.#listed.add(folder);
    for (const { inode } of index.entries(folder)) {
      if (isSmallFile(index, inode) && this.#used.has(index.extent(inode, 0).chunk)) {
        this.#store(inode);
      }
    }
  }

  #use(chunk: number): void {
    if (this.#used.has(chunk)) return;
    this.#used.add(chunk);
    this.#filesOf ??= smallFilesOf(this.#options.index);
    for (const inode of this.#filesOf.get(chunk) ?? []) {
      if (this.#listed.has(this.#options.index.parent(inode))) this.#store(inode);
    }
  }

  /** Puts a whole file into the kernel's cache. */
  #store(inode: number): void {
    if (this.#stored.has(inode)) return;
    const { index, bytesOf, send } = this.#options;
    const { chunk, start, byteCount } = index.extent(inode, 0);
    const bytes = bytesOf(chunk);
    if (bytes === undefined) return;
    this.#stored.add(inode);
    const end = STORE_HEADER_BYTES + byteCount;
    const message = this.#message;
    message.fill(0, 0, STORE_HEADER_BYTES);
    message.writeUInt32LE(end, 0);
    message.writeInt32LE(NOTIFY_STORE, 4);
    writeUInt64(message, inode + 1, 16);
    message.writeUInt32LE(byteCount, 32);
    message.set(bytes.subarray(start, start + byteCount), STORE_HEADER_BYTES);
    try {
      send(message.subarray(0, end));
    } catch {
      // The kernel has forgotten the file, or does not know it yet.
    }
  }
}

/** Lists through the kernel, and writes to it. */
export function kernelEnds(fd: number): Pick<WarmerOptions, "list" | "send"> {
  return {
    list: (path) => void readdirSync(path),
    send: (message) => void writeSync(fd, message, 0, message.length),
  };
}

function isSmallFile(index: ImageIndex, inode: number): boolean {
  if (index.type(inode) !== S_IFREG || index.pieceCount(inode) !== 1) return false;
  const { chunk, byteCount } = index.extent(inode, 0);
  return chunk !== HOLE && byteCount <= SMALL_BYTES_MAX;
}

function smallFilesOf(index: ImageIndex): ReadonlyMap<number, readonly number[]> {
  const files = new Map<number, number[]>();
  for (let inode = 0; inode < index.inodeCount; inode += 1) {
    if (!isSmallFile(index, inode)) continue;
    const { chunk } = index.extent(inode, 0);
    const known = files.get(chunk);
    if (known === undefined) files.set(chunk, [inode]);
    else known.push(inode);
  }
  return files;
}

/** Path of a folder below the root; each of its parts is looked for in its parent. */
function pathOf(index: ImageIndex, folder: number): string {
  const names: string[] = [];
  for (let inode = folder; inode !== 0; inode = index.parent(inode)) {
    const entry = index.entries(index.parent(inode)).find((one) => one.inode === inode);
    if (entry === undefined) throw new Error(`inode ${inode} is not in its folder`);
    const name = Buffer.from(entry.name).toString("utf8");
    if (!Buffer.from(name).equals(entry.name)) throw new Error("a name that is no text");
    names.unshift(name);
  }
  return names.join("/");
}
