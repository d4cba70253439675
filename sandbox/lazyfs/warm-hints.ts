/** What a thread that answers the kernel notices that the kernel will ask for next. */
import type { ImageIndex } from "../store/index.ts";

/** Told to the warmer; see `warmer.ts`. */
export type WarmHint =
  /** Names of this folder are looked up one by one. */
  | { readonly type: "folder"; readonly inode: number }
  /** The kernel lists this folder itself. */
  | { readonly type: "listed"; readonly inode: number }
  /** Something of this chunk was read. */
  | { readonly type: "chunk"; readonly chunk: number };

/** A folder is listed after so many looks at single names, or one for so many of its names. */
const LOOKS_MIN = 2;
const NAMES_PER_LOOK = 64;

export class WarmHints {
  readonly #index: ImageIndex;
  readonly #tell: (hint: WarmHint) => void;
  /** How often names were looked up in a folder; Infinity once it is known. */
  readonly #looks = new Map<number, number>();
  readonly #chunks = new Set<number>();

  constructor(index: ImageIndex, tell: (hint: WarmHint) => void) {
    this.#index = index;
    this.#tell = tell;
  }

  /** A name was looked up in a folder. */
  looked(folder: number): void {
    const looks = (this.#looks.get(folder) ?? 0) + 1;
    this.#looks.set(folder, looks);
    if (looks === Infinity) return;
    if (looks < Math.max(LOOKS_MIN, this.#index.count(folder) / NAMES_PER_LOOK)) return;
    this.#looks.set(folder, Infinity);
    this.#tell({ type: "folder", inode: folder });
  }

  /** The kernel asked for the names of a folder. */
  listed(folder: number): void {
    if (this.#looks.get(folder) === Infinity) return;
    this.#looks.set(folder, Infinity);
    this.#tell({ type: "listed", inode: folder });
  }

  /** Bytes of a chunk were read. */
  used(chunk: number): void {
    if (this.#chunks.has(chunk)) return;
    this.#chunks.add(chunk);
    this.#tell({ type: "chunk", chunk });
  }
}
