/**
 * Guesses which chunks a reader wants next, from those that it had to wait for.
 *
 * A program that waited for a small file of a folder soon wants others of that folder (a package
 * of modules), and one that waited for a part of a large file wants parts around it (a library
 * that is mapped: its symbols, its code, its data) or what follows (a file that is read in
 * order). What is far away costs a round trip for each wait and little for each byte, so all
 * near ones are guessed, the nearest first.
 *
 * Guesses are bounded by what was used: of what was guessed, no more bytes are unused at any time
 * than were used so far, and a few MiB. So a start fetches at most about twice what it needs.
 *
 * Pure: the same waits and uses give the same guesses.
 */
import { HOLE, S_IFREG, type ImageIndex } from "../store/index.ts";
import type { FilePiece } from "./read-file.ts";

/** Pieces of a large file to either side of one that was waited for. */
const REACH = 3;
/** Pieces that follow it where the last guess was right, twice as many each time. */
const FOLLOWING_MIN = 2;
const FOLLOWING_MAX = 32;
/** Bytes that may be guessed before anything was used. */
const UNUSED_BYTES_MIN = 4 * 1_024 * 1_024;

export class LikelyChunks {
  readonly #index: ImageIndex;
  readonly #used = new Set<number>();
  readonly #guessed = new Set<number>();
  /** Chunks after which a guess ended: a wait for one shows that more would have been right. */
  readonly #ends = new Set<number>();
  #usedBytes = 0;
  #unusedBytes = 0;
  #following = FOLLOWING_MIN;

  constructor(index: ImageIndex) {
    this.#index = index;
  }

  /** Something of this chunk was read. */
  use(chunk: number): void {
    if (this.#used.has(chunk)) return;
    this.#used.add(chunk);
    const byteCount = this.#index.chunkBytes(chunk);
    this.#usedBytes += byteCount;
    if (this.#guessed.has(chunk)) this.#unusedBytes -= byteCount;
  }

  /** Chunks to be fetched now, in this order; each is guessed once. */
  after(waited: FilePiece): readonly number[] {
    this.use(waited.chunk);
    const near = this.#isSmall(waited.inode) ? this.#ofFolder(waited) : this.#ofFile(waited);
    return near.filter((one) => this.#guess(one));
  }

  #guess(chunk: number): boolean {
    if (this.#used.has(chunk) || this.#guessed.has(chunk)) return false;
    const byteCount = this.#index.chunkBytes(chunk);
    if (this.#unusedBytes + byteCount > this.#usedBytes + UNUSED_BYTES_MIN) return false;
    this.#unusedBytes += byteCount;
    this.#guessed.add(chunk);
    return true;
  }

  #isSmall(inode: number): boolean {
    return this.#index.type(inode) === S_IFREG && this.#index.pieceCount(inode) === 1;
  }

  /** Those of the small files that lie in the same folder. */
  #ofFolder({ inode, chunk }: FilePiece): readonly number[] {
    const index = this.#index;
    const folder = index.parent(inode);
    const chunks = new Set<number>();
    const first = index.first(folder);
    for (let entry = first; entry < first + index.count(folder); entry += 1) {
      const beside = index.entryInode(entry);
      if (this.#isSmall(beside)) chunks.add(index.extent(beside, 0).chunk);
    }
    chunks.delete(HOLE);
    return [...chunks].sort((one, other) => Math.abs(one - chunk) - Math.abs(other - chunk));
  }

  /** Those around one in the same file, and more of those that follow if that proved right. */
  #ofFile({ inode, piece, chunk }: FilePiece): readonly number[] {
    const index = this.#index;
    const isRight = this.#ends.has(chunk);
    this.#following = isRight ? Math.min(FOLLOWING_MAX, this.#following * 2) : FOLLOWING_MIN;
    const ahead = Math.max(REACH, this.#following);
    const chunks: number[] = [];
    for (let distance = 1; distance <= ahead; distance += 1) {
      const around = distance <= REACH ? [piece + distance, piece - distance] : [piece + distance];
      for (const one of around) {
        if (one >= 0 && one < index.pieceCount(inode)) chunks.push(index.extent(inode, one).chunk);
      }
    }
    const end = piece + ahead + 1;
    if (end < index.pieceCount(inode)) this.#ends.add(index.extent(inode, end).chunk);
    return chunks.filter((one) => one !== HOLE);
  }
}
