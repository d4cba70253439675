/** The files of a sandbox. */
import type { SandboxLink } from "./sandbox-link.ts";

const PIECE_BYTES = 4 * 1024 * 1024;
const WAIT_MS = 15_000;

/** One entry of a folder of a sandbox. */
export interface SandboxFile {
  readonly name: string;
  readonly type: "file" | "folder" | "link";
  readonly bytes: number;
  readonly modifiedAtMs: number;
}

/** Reads, writes, lists, watches and removes the files of one sandbox. */
export class SandboxFiles {
  readonly #link: SandboxLink;

  /** Files come with a sandbox: `sandbox.files`. */
  constructor(link: SandboxLink) {
    this.#link = link;
  }

  /** The bytes of a file. */
  async read(path: string): Promise<Uint8Array> {
    const pieces: Uint8Array[] = [];
    for (let offset = 0; ;) {
      const piece = (await this.#link.ask("readFile", path, offset, PIECE_BYTES)) as Uint8Array;
      pieces.push(piece);
      offset += piece.byteLength;
      if (piece.byteLength < PIECE_BYTES) return joined(pieces, offset);
    }
  }

  /** The text of a file, which is UTF-8. */
  async readText(path: string): Promise<string> {
    return new TextDecoder().decode(await this.read(path));
  }

  /** Writes a file anew. */
  async write(path: string, data: string | Uint8Array): Promise<void> {
    const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
    let offset = 0;
    do {
      const piece = bytes.slice(offset, offset + PIECE_BYTES);
      await this.#link.ask("writeFile", path, offset, piece);
      offset += piece.byteLength;
    } while (offset < bytes.byteLength);
  }

  /** What is in a folder, by name. */
  async list(path: string): Promise<readonly SandboxFile[]> {
    return (await this.#link.ask("list", path)) as readonly SandboxFile[];
  }

  /** Makes a folder and those above it. */
  async makeFolder(path: string): Promise<void> {
    await this.#link.ask("makeFolder", path);
  }

  /** Removes a file, or a folder with all in it. */
  async remove(path: string): Promise<void> {
    await this.#link.ask("remove", path);
  }

  /** Names in a folder as they change, from now on; ends with the loop that takes them. */
  async *watch(path: string): AsyncGenerator<string, void, undefined> {
    const id = crypto.randomUUID();
    await this.#link.ask("watch", id, path);
    try {
      for (let from = 0; ;) {
        const names = (await this.#link.ask("watched", id, from, WAIT_MS)) as readonly string[];
        from += names.length;
        yield* names;
      }
    } finally {
      await this.#link.tidy((link) => link.ask("unwatch", id));
    }
  }
}

function joined(pieces: readonly Uint8Array[], bytes: number): Uint8Array {
  const whole = new Uint8Array(bytes);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.byteLength;
  }
  return whole;
}
