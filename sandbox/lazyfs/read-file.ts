/** Puts together the bytes of a read from the chunks that hold them. */
import { HOLE, S_IFREG, type ImageIndex } from "../store/index.ts";

/** The bytes of a chunk by its number, or undefined when they are not at hand. */
export type ChunkBytes = (chunk: number) => Uint8Array | undefined;

/** What a read of a file wants, cut to what the file has. */
export interface FileRead {
  readonly inode: number;
  readonly offset: number;
  readonly byteCount: number;
}

/** A read cut to the end of its file; of anything else nothing is read. */
export function readOf(index: ImageIndex, inode: number, offset: number, wanted: number): FileRead {
  const size = index.type(inode) === S_IFREG ? index.size(inode) : 0;
  return { inode, offset, byteCount: Math.max(0, Math.min(wanted, size - offset)) };
}

/** A piece of a file, and the chunk that holds it. */
export interface FilePiece {
  readonly inode: number;
  readonly piece: number;
  readonly chunk: number;
}

/** The pieces that a read needs, in order, each chunk once; holes need none. */
export function piecesOf(index: ImageIndex, read: FileRead): readonly FilePiece[] {
  const { pieceBytes } = index.layout;
  const { inode } = read;
  const pieces = new Map<number, FilePiece>();
  if (read.byteCount === 0) return [];
  const last = Math.floor((read.offset + read.byteCount - 1) / pieceBytes);
  for (let piece = Math.floor(read.offset / pieceBytes); piece <= last; piece += 1) {
    const { chunk } = index.extent(inode, piece);
    if (chunk !== HOLE && !pieces.has(chunk)) pieces.set(chunk, { inode, piece, chunk });
  }
  return [...pieces.values()];
}

/** Copies a read into `target` at `at`; says whether every chunk was at hand. */
export function copyRead(
  index: ImageIndex,
  read: FileRead,
  bytesOf: ChunkBytes,
  target: Buffer,
  at: number,
): boolean {
  const { pieceBytes } = index.layout;
  const end = read.offset + read.byteCount;
  for (let offset = read.offset; offset < end;) {
    const piece = Math.floor(offset / pieceBytes);
    const { chunk, start, byteCount } = index.extent(read.inode, piece);
    const within = offset - piece * pieceBytes;
    const count = Math.min(end - offset, byteCount - within);
    const to = at + offset - read.offset;
    if (chunk === HOLE) target.fill(0, to, to + count);
    else {
      const bytes = bytesOf(chunk);
      if (bytes === undefined) return false;
      const found = bytes.subarray(start + within, start + within + count);
      target.set(found, to);
      // A chunk that is shorter than its index says must not show what the buffer held before.
      if (found.byteLength < count) target.fill(0, to + found.byteLength, to + count);
    }
    offset += count;
  }
  return true;
}
