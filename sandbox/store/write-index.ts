/** Writes the index of a scanned tree; the layout is in `image-index.ts`. */
import {
  CHUNK_WORDS,
  ENTRY_WORDS,
  EXTENT_WORDS,
  INDEX_MAGIC,
  INDEX_VERSION,
  INODE_WORDS,
  layoutOf,
  S_IFMT,
  type Extent,
  type IndexLayout,
} from "./image-index.ts";
import type { ScannedInode } from "./scan-tree.ts";
import { writeXattrs, type Xattr } from "./xattrs.ts";
import type { ChunkId } from "./chunk.ts";

/** What an index is made of. */
export interface IndexContent {
  readonly pieceBytes: number;
  readonly inodes: readonly ScannedInode[];
  /** By inode number, the pieces of files. */
  readonly extents: ReadonlyMap<number, readonly Omit<Extent, "byteCount">[]>;
  readonly chunks: readonly { readonly id: ChunkId; readonly byteCount: number }[];
  /** By path. */
  readonly xattrs: ReadonlyMap<string, readonly Xattr[]>;
}

const TWO_32 = 2 ** 32;
/** What every folder says of its size: trees with equal content get equal indexes. */
const FOLDER_BYTES = 4_096;

/** The bytes of an index; equal trees give equal bytes. */
export function writeIndex(content: IndexContent): Uint8Array {
  const text = new TextTable();
  const layout = layoutOf({ ...countsOf(content), textBytes: textBytesOf(content) });
  const bytes = new Uint8Array(layout.byteCount);
  writeHeader(bytes, layout, content);
  writeInodes(bytes, layout, content, text);
  writeChunks(bytes, layout, content);
  bytes.set(text.bytes(), layout.textAt);
  return bytes;
}

type Counts = Parameters<typeof layoutOf>[0];

function countsOf({
  pieceBytes,
  inodes,
  extents,
  chunks,
}: IndexContent): Omit<Counts, "textBytes"> {
  let extentCount = 0;
  for (const pieces of extents.values()) extentCount += pieces.length;
  const entryCount = inodes.reduce((sum, { entries }) => sum + entries.length, 0);
  return {
    pieceBytes,
    inodeCount: inodes.length,
    entryCount,
    extentCount,
    chunkCount: chunks.length,
  };
}

function textBytesOf({ inodes, xattrs }: IndexContent): number {
  return inodes.reduce((sum, { entries, linkTarget, path }) => {
    const names = entries.reduce((bytes, { name }) => bytes + name.byteLength, 0);
    const attributes = writeXattrs(xattrs.get(path) ?? []).byteLength;
    return sum + names + (linkTarget?.byteLength ?? 0) + attributes;
  }, 0);
}

/** Names, targets and attributes, one after the other. */
class TextTable {
  readonly #parts: Uint8Array[] = [];
  #byteCount = 0;

  add(bytes: Uint8Array): number {
    const start = this.#byteCount;
    this.#parts.push(bytes);
    this.#byteCount += bytes.byteLength;
    return start;
  }

  bytes(): Uint8Array {
    return Buffer.concat(this.#parts);
  }
}

function writeHeader(bytes: Uint8Array, layout: IndexLayout, { inodes }: IndexContent): void {
  const files = inodes.filter(({ stats }) => stats.isFile());
  const total = files.reduce((sum, { stats }) => sum + stats.size, 0);
  new Uint32Array(bytes.buffer, 0, 10).set([
    INDEX_MAGIC,
    INDEX_VERSION,
    layout.pieceBytes,
    layout.inodeCount,
    layout.entryCount,
    layout.extentCount,
    layout.chunkCount,
    layout.textBytes,
    total % TWO_32,
    Math.floor(total / TWO_32),
  ]);
}

function writeInodes(
  bytes: Uint8Array,
  layout: IndexLayout,
  { inodes, extents, xattrs }: IndexContent,
  text: TextTable,
): void {
  const words = new Uint32Array(bytes.buffer, layout.inodesAt, layout.inodeCount * INODE_WORDS);
  const entryWords = new Uint32Array(
    bytes.buffer,
    layout.entriesAt,
    layout.entryCount * ENTRY_WORDS,
  );
  const extentWords = new Uint32Array(
    bytes.buffer,
    layout.extentsAt,
    layout.extentCount * EXTENT_WORDS,
  );
  let entry = 0;
  let extent = 0;
  for (const [number, inode] of inodes.entries()) {
    const pieces = extents.get(number) ?? [];
    const span = spanOf(inode, { entry, extent, pieceCount: pieces.length }, text);
    for (const { name, inode: target } of inode.entries) {
      const type = ((inodes[target]?.stats.mode ?? 0) & S_IFMT) >>> 12;
      const at = entry * ENTRY_WORDS;
      entryWords.set([text.add(name), name.byteLength | (type << 16), target], at);
      entry += 1;
    }
    for (const { chunk, start } of pieces) {
      extentWords.set([chunk, start], extent * EXTENT_WORDS);
      extent += 1;
    }
    const attributes = writeXattrs(xattrs.get(inode.path) ?? []);
    const attributesAt = text.add(attributes);
    const fields = [...statWords(inode), ...span, attributesAt, attributes.byteLength];
    words.set([...fields, inode.parent, 0], number * INODE_WORDS);
  }
}

/** Where an inode's content begins in its table, and how much of it there is. */
function spanOf(
  { stats, entries, linkTarget }: ScannedInode,
  next: { readonly entry: number; readonly extent: number; readonly pieceCount: number },
  text: TextTable,
): readonly [number, number] {
  if (stats.isDirectory()) return [next.entry, entries.length];
  if (linkTarget !== undefined) return [text.add(linkTarget), linkTarget.byteLength];
  return [next.extent, next.pieceCount];
}

function statWords({ stats, links, entries, linkTarget }: ScannedInode): readonly number[] {
  const size = stats.isDirectory() ? FOLDER_BYTES : (linkTarget?.byteLength ?? stats.size);
  const isDevice = stats.isBlockDevice() || stats.isCharacterDevice();
  const seconds = Math.floor(stats.mtimeMs / 1_000);
  const ns = Math.round((stats.mtimeMs - seconds * 1_000) * 1_000) * 1_000;
  const nlink = stats.isDirectory() ? 2 + entries.length : links;
  return [
    stats.mode,
    stats.uid,
    stats.gid,
    nlink,
    size % TWO_32,
    Math.floor(size / TWO_32),
    seconds,
    Math.floor(seconds / TWO_32),
    Math.min(ns, 999_999_000),
    isDevice ? stats.rdev : 0,
  ];
}

function writeChunks(bytes: Uint8Array, layout: IndexLayout, { chunks }: IndexContent): void {
  const table = Buffer.from(bytes.buffer, layout.chunksAt, layout.chunkCount * CHUNK_WORDS * 4);
  for (const [number, { id, byteCount }] of chunks.entries()) {
    const at = number * CHUNK_WORDS * 4;
    table.writeUInt32LE(byteCount, at);
    table.write(id, at + 4, "hex");
  }
}
