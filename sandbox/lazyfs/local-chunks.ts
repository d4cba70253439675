/** Chunks of an image that are on this machine, read without a promise; a thread has its own. */
import { readFileSync } from "node:fs";
import { chunkPath, decodeChunk, type ImageIndex } from "../store/index.ts";
import type { AccessTrace } from "./access-trace.ts";

/** Decoded chunks that are kept: 16 MiB at most. */
const HELD_MAX = 64;

/** Reads chunks from folders, and keeps those used last. */
export class LocalChunks {
  readonly #index: ImageIndex;
  readonly #dirs: readonly string[];
  readonly #trace: AccessTrace;
  /** The one used longest ago first. */
  readonly #held = new Map<number, Uint8Array>();

  constructor(index: ImageIndex, dirs: readonly string[], trace: AccessTrace) {
    this.#index = index;
    this.#dirs = dirs;
    this.#trace = trace;
  }

  /** The bytes of a chunk, verified; undefined when no folder has a whole copy. */
  bytesOf(chunk: number): Uint8Array | undefined {
    this.#trace.note(chunk);
    const held = this.#held.get(chunk);
    if (held !== undefined) {
      this.#held.delete(chunk);
      this.#held.set(chunk, held);
      return held;
    }
    const bytes = this.#read(chunk);
    if (bytes !== undefined) this.#hold(chunk, bytes);
    return bytes;
  }

  #hold(chunk: number, bytes: Uint8Array): void {
    this.#held.set(chunk, bytes);
    const [oldest] = this.#held.keys();
    if (this.#held.size > HELD_MAX && oldest !== undefined) this.#held.delete(oldest);
  }

  #read(chunk: number): Uint8Array | undefined {
    const id = this.#index.chunkId(chunk);
    for (const dir of this.#dirs) {
      try {
        const bytes = decodeChunk(id, readFileSync(chunkPath(dir, id)));
        if (bytes.byteLength === this.#index.chunkBytes(chunk)) return bytes;
      } catch {
        // Not there or damaged: who fetches it finds out which, and mends it.
      }
    }
    return undefined;
  }
}
