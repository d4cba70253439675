/**
 * The index of an image: its tree and where each file's bytes lie, read in place.
 *
 * One buffer, which threads may share. Little endian, 32-bit words, five tables one after the
 * other and each at a multiple of 8:
 *
 * ```
 * header   16 words   "FLTI", version, piece bytes, count of inodes, entries, extents, chunks,
 *                     bytes of text, sum of file sizes (low, high), 0 ...
 * inodes   16 words   mode, uid, gid, links, size (low, high), mtime seconds (low, high),
 *                     mtime ns, device, first, count, xattr start, xattr bytes, parent, 0
 * entries   3 words   text start, length | type << 16, inode; by folder, names in byte order
 * extents   2 words   chunk (or HOLE), start within it; one for each piece of a file, in order
 * chunks    9 words   length, 32 bytes of hash
 * text                names, link targets, xattrs (u16 name bytes, u32 value bytes, both)
 * ```
 *
 * `first` and `count` are the entries of a folder, the extents of a file, or the text of a
 * link. Inode 0 is the root; a folder comes before all that is in it, so that a tree which
 * passes `openImageIndex` has no cycle.
 */
import { assert } from "../../core/index.ts";
import type { ChunkId } from "./chunk.ts";

export const INDEX_MAGIC = 0x49_54_4c_46;
export const INDEX_VERSION = 1;
export const HEADER_WORDS = 16;
export const INODE_WORDS = 16;
export const ENTRY_WORDS = 3;
export const EXTENT_WORDS = 2;
export const CHUNK_WORDS = 9;
/** Stands for a chunk where a piece is nothing but zeros. */
export const HOLE = 0xff_ff_ff_ff;

/** Type bits of a mode, as in `stat(2)`. */
export const S_IFMT = 0o170_000;
export const S_IFDIR = 0o040_000;
export const S_IFREG = 0o100_000;
export const S_IFLNK = 0o120_000;

const TWO_32 = 2 ** 32;

/** What the header counts, and where its tables begin, in bytes. */
export interface IndexLayout {
  readonly pieceBytes: number;
  readonly inodeCount: number;
  readonly entryCount: number;
  readonly extentCount: number;
  readonly chunkCount: number;
  readonly textBytes: number;
  readonly inodesAt: number;
  readonly entriesAt: number;
  readonly extentsAt: number;
  readonly chunksAt: number;
  readonly textAt: number;
  readonly byteCount: number;
}

/** Where the tables lie when there are so many of each. */
export function layoutOf(
  counts: Pick<
    IndexLayout,
    "pieceBytes" | "inodeCount" | "entryCount" | "extentCount" | "chunkCount" | "textBytes"
  >,
): IndexLayout {
  const after = (start: number, count: number, words: number): number =>
    Math.ceil((start + count * words * 4) / 8) * 8;
  const inodesAt = HEADER_WORDS * 4;
  const entriesAt = after(inodesAt, counts.inodeCount, INODE_WORDS);
  const extentsAt = after(entriesAt, counts.entryCount, ENTRY_WORDS);
  const chunksAt = after(extentsAt, counts.extentCount, EXTENT_WORDS);
  const textAt = after(chunksAt, counts.chunkCount, CHUNK_WORDS);
  const byteCount = textAt + counts.textBytes;
  return { ...counts, inodesAt, entriesAt, extentsAt, chunksAt, textAt, byteCount };
}

/** One name in a folder. */
export interface IndexEntry {
  readonly name: Uint8Array;
  readonly inode: number;
}

/** Where one piece of a file lies. */
export interface Extent {
  /** Number of the chunk, or `HOLE`. */
  readonly chunk: number;
  readonly start: number;
  readonly byteCount: number;
}

/** Reads a checked index in place; every number it takes must come from the index itself. */
export class ImageIndex {
  readonly bytes: Uint8Array;
  readonly layout: IndexLayout;
  readonly #inodes: Uint32Array;
  readonly #entries: Uint32Array;
  readonly #extents: Uint32Array;
  readonly #chunks: Uint32Array;
  readonly #text: Uint8Array;

  /** Views of a checked index; see `openImageIndex`. */
  constructor(bytes: Uint8Array, layout: IndexLayout) {
    this.bytes = bytes;
    this.layout = layout;
    const { buffer, byteOffset } = bytes;
    assert(byteOffset % 8 === 0, "an index must lie at a multiple of 8 bytes");
    const words = (start: number, count: number): Uint32Array =>
      new Uint32Array(buffer, byteOffset + start, count);
    this.#inodes = words(layout.inodesAt, layout.inodeCount * INODE_WORDS);
    this.#entries = words(layout.entriesAt, layout.entryCount * ENTRY_WORDS);
    this.#extents = words(layout.extentsAt, layout.extentCount * EXTENT_WORDS);
    this.#chunks = words(layout.chunksAt, layout.chunkCount * CHUNK_WORDS);
    this.#text = bytes.subarray(layout.textAt, layout.textAt + layout.textBytes);
  }

  get inodeCount(): number {
    return this.layout.inodeCount;
  }

  get chunkCount(): number {
    return this.layout.chunkCount;
  }

  #word(inode: number, word: number): number {
    return this.#inodes[inode * INODE_WORDS + word] ?? 0;
  }

  mode(inode: number): number {
    return this.#word(inode, 0);
  }

  type(inode: number): number {
    return this.#word(inode, 0) & S_IFMT;
  }

  uid(inode: number): number {
    return this.#word(inode, 1);
  }

  gid(inode: number): number {
    return this.#word(inode, 2);
  }

  /** Gives everything to one user and group, in this copy of the index. O(n) in its inodes. */
  giveTo(ownerId: number): void {
    for (let inode = 0; inode < this.inodeCount; inode += 1) {
      this.#inodes.fill(ownerId, inode * INODE_WORDS + 1, inode * INODE_WORDS + 3);
    }
  }

  links(inode: number): number {
    return this.#word(inode, 3);
  }

  size(inode: number): number {
    return this.#word(inode, 4) + this.#word(inode, 5) * TWO_32;
  }

  /** Whole seconds since 1970; may be negative. */
  mtimeSeconds(inode: number): number {
    return this.#word(inode, 6) + (this.#word(inode, 7) | 0) * TWO_32;
  }

  mtimeNs(inode: number): number {
    return this.#word(inode, 8);
  }

  device(inode: number): number {
    return this.#word(inode, 9);
  }

  /** First entry of a folder, extent of a file, or byte of a link's text. */
  first(inode: number): number {
    return this.#word(inode, 10);
  }

  count(inode: number): number {
    return this.#word(inode, 11);
  }

  /** The folder of a folder; of anything else, one of the folders that have it. */
  parent(inode: number): number {
    return this.#word(inode, 14);
  }

  /** The bytes of the link's target. */
  linkTarget(inode: number): Uint8Array {
    const start = this.first(inode);
    return this.#text.subarray(start, start + this.count(inode));
  }

  /** The encoded extended attributes; see `readXattrs`. */
  xattrBytes(inode: number): Uint8Array {
    const start = this.#word(inode, 12);
    return this.#text.subarray(start, start + this.#word(inode, 13));
  }

  /** Inode of entry number `entry`. */
  entryInode(entry: number): number {
    return this.#entries[entry * ENTRY_WORDS + 2] ?? 0;
  }

  entryName(entry: number): Uint8Array {
    const start = this.#entries[entry * ENTRY_WORDS] ?? 0;
    const length = (this.#entries[entry * ENTRY_WORDS + 1] ?? 0) & 0xff_ff;
    return this.#text.subarray(start, start + length);
  }

  /** The names in a folder, in byte order. */
  entries(inode: number): readonly IndexEntry[] {
    if (this.type(inode) !== S_IFDIR) return [];
    const first = this.first(inode);
    return Array.from({ length: this.count(inode) }, (_, position) => ({
      name: this.entryName(first + position),
      inode: this.entryInode(first + position),
    }));
  }

  /** The inode of a name in a folder; -1 when there is none. O(log n). */
  lookup(folder: number, name: Uint8Array): number {
    if (this.type(folder) !== S_IFDIR) return -1;
    let low = this.first(folder);
    let high = low + this.count(folder) - 1;
    while (low <= high) {
      const middle = (low + high) >>> 1;
      const order = this.#compare(middle, name);
      if (order === 0) return this.entryInode(middle);
      if (order < 0) low = middle + 1;
      else high = middle - 1;
    }
    return -1;
  }

  /** Order of an entry's name and a name, without making an object. */
  #compare(entry: number, name: Uint8Array): number {
    const start = this.#entries[entry * ENTRY_WORDS] ?? 0;
    const length = (this.#entries[entry * ENTRY_WORDS + 1] ?? 0) & 0xff_ff;
    const shared = Math.min(length, name.length);
    for (let position = 0; position < shared; position += 1) {
      const order = (this.#text[start + position] ?? 0) - (name[position] ?? 0);
      if (order !== 0) return order;
    }
    return length - name.length;
  }

  /** How many pieces a file has. */
  pieceCount(inode: number): number {
    return this.type(inode) === S_IFREG ? this.count(inode) : 0;
  }

  /** Where piece number `piece` of a file lies. */
  extent(inode: number, piece: number): Extent {
    const { pieceBytes } = this.layout;
    const at = (this.first(inode) + piece) * EXTENT_WORDS;
    const byteCount = Math.min(pieceBytes, this.size(inode) - piece * pieceBytes);
    return { chunk: this.#extents[at] ?? HOLE, start: this.#extents[at + 1] ?? 0, byteCount };
  }

  chunkBytes(chunk: number): number {
    return this.#chunks[chunk * CHUNK_WORDS] ?? 0;
  }

  chunkId(chunk: number): ChunkId {
    const start = this.layout.chunksAt + chunk * CHUNK_WORDS * 4 + 4;
    // A copy: text cannot be made of shared memory directly.
    return Buffer.from(this.bytes.subarray(start, start + 32)).toString("hex");
  }

  /** The names of all chunks, in the order of their numbers. */
  chunkIds(): readonly ChunkId[] {
    return Array.from({ length: this.chunkCount }, (_, chunk) => this.chunkId(chunk));
  }
}
