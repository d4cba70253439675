/**
 * Cuts the files of a tree into chunks.
 *
 * Large files are cut into pieces of `PIECE_BYTES`. Small ones are packed: one after the other
 * in the order of the tree, so that what is read together lies together and an image has some
 * thousand chunks, not one for each file. A pack ends after a file whose own hash says so, as
 * likely as the file is large, and so at the same files in every image that has them in a row:
 * images share packs as they share files. Measured on real images in docs/decisions/0013.
 */
import { hash } from "node:crypto";
import { HOLE, type Extent } from "./image-index.ts";
import { chunkIdOf, type ChunkId } from "./chunk.ts";

/** Bytes of every piece of a large file but its last. */
export const PIECE_BYTES = 256 * 1_024;
/** Files from this size on are cut by themselves. */
export const LARGE_FILE_BYTES = 128 * 1_024;
/** A pack ends, on average, after so many bytes, and has at most `PIECE_BYTES`. */
const PACK_BYTES = 64 * 1_024;

const ZEROS = Buffer.alloc(PIECE_BYTES);

/** Where a piece lies. */
export type Place = Omit<Extent, "byteCount">;

/** A new chunk, in the order in which an index numbers them. */
export interface CutChunk {
  readonly id: ChunkId;
  readonly bytes: Uint8Array;
}

/** Takes files one after the other and gives the chunks that they make. */
export class FileCutter {
  readonly #onChunk: (chunk: CutChunk) => void;
  readonly #numbers = new Map<ChunkId, number>();
  /** Where small files lie that were seen before, by the hash of their content. */
  readonly #known = new Map<string, Place>();
  #pack: Uint8Array[] = [];
  #packBytes = 0;
  /** Files of the open pack, whose chunk has no number yet. */
  #open: { readonly content: string; readonly start: number; readonly places: Place[][] }[] = [];

  constructor(onChunk: (chunk: CutChunk) => void) {
    this.#onChunk = onChunk;
  }

  /** A whole file of fewer than `LARGE_FILE_BYTES`; `places` is filled by the end of `finish`. */
  addSmall(bytes: Uint8Array, places: Place[]): void {
    if (bytes.byteLength === 0) return;
    const content = hash("sha256", bytes, "hex");
    const known = this.#known.get(content);
    if (known !== undefined) {
      places.push(known);
      return;
    }
    const waiting = this.#open.find((file) => file.content === content);
    if (waiting !== undefined) {
      waiting.places.push(places);
      return;
    }
    if (this.#packBytes + bytes.byteLength > PIECE_BYTES) this.#endPack();
    this.#open.push({ content, start: this.#packBytes, places: [places] });
    this.#pack.push(bytes);
    this.#packBytes += bytes.byteLength;
    const draw = Number.parseInt(content.slice(0, 8), 16) / 2 ** 32;
    if (draw < bytes.byteLength / PACK_BYTES) this.#endPack();
  }

  /** One piece of a large file, which the caller does not change afterwards. */
  addPiece(bytes: Uint8Array): Place {
    if (Buffer.compare(bytes, ZEROS.subarray(0, bytes.byteLength)) === 0) {
      return { chunk: HOLE, start: 0 };
    }
    return { chunk: this.#number(bytes), start: 0 };
  }

  /** Ends the last pack. */
  finish(): void {
    this.#endPack();
  }

  #endPack(): void {
    if (this.#open.length === 0) return;
    const chunk = this.#number(Buffer.concat(this.#pack));
    for (const { content, start, places } of this.#open) {
      const place = { chunk, start };
      this.#known.set(content, place);
      for (const one of places) one.push(place);
    }
    this.#pack = [];
    this.#packBytes = 0;
    this.#open = [];
  }

  #number(bytes: Uint8Array): number {
    const id = chunkIdOf(bytes);
    const known = this.#numbers.get(id);
    if (known !== undefined) return known;
    const number = this.#numbers.size;
    this.#numbers.set(id, number);
    this.#onChunk({ id, bytes });
    return number;
  }
}
