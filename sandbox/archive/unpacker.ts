/**
 * Writes the entries of an archive below a root, whatever the archive says. Who reads the
 * archive's format hands over one entry after the other.
 */
import { PlatformError } from "../../core/index.ts";
import { ArchiveBudget } from "./archive-budget.ts";
import { ConfinedTree, type ConfinedTreeOptions } from "./confined-tree.ts";
import { entryPathOf, type EntryPathOptions } from "./entry-path.ts";

/** One entry as its format tells it; nothing of it is believed. */
export interface ArchiveEntry {
  readonly name: string | Uint8Array;
  readonly type: "file" | "folder" | "symlink" | "hardlink" | "device" | "fifo" | "socket";
  readonly mode: number;
  /** Target of a link. */
  readonly target?: string | Uint8Array;
  readonly content?: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

export interface UnpackOptions extends ConfinedTreeOptions, EntryPathOptions {
  readonly budget?: ArchiveBudget;
  /** Devices, pipes and sockets: an error, or left out. No node is ever made. */
  readonly specialFiles?: "refuse" | "skip";
  /** Set-user-id, set-group-id and sticky bits; dropped unless kept. */
  readonly specialModes?: "drop" | "keep";
}

const PERMISSION_BITS = 0o777;
const LINK_BYTES_MAX = 4_095;

export class Unpacker {
  readonly #tree: ConfinedTree;
  readonly #options: UnpackOptions;
  readonly #budget: ArchiveBudget;

  private constructor(tree: ConfinedTree, options: UnpackOptions) {
    this.#tree = tree;
    this.#options = options;
    this.#budget = options.budget ?? new ArchiveBudget();
  }

  /** Opens an existing folder to unpack into; to be closed. */
  static async open(root: string, options: UnpackOptions = {}): Promise<Unpacker> {
    return new Unpacker(await ConfinedTree.open(root, options), options);
  }

  /** For what an archive means beyond entries, such as a layer's removals. */
  get tree(): ConfinedTree {
    return this.#tree;
  }

  async close(): Promise<void> {
    await this.#tree.close();
  }

  /**
   * Writes one entry; its content is read to the end, or not at all when it is refused.
   *
   * @throws PlatformError `invalid_request` for an entry that leaves the root or is of a type that
   *   is refused, `payload_too_large` when the archive's limits are passed.
   */
  async add(entry: ArchiveEntry): Promise<void> {
    this.#budget.addEntry();
    const names = this.#namesOf(entry.name, "the archive's entry");
    const mode = this.#options.specialModes === "keep" ? entry.mode : entry.mode & PERMISSION_BITS;
    switch (entry.type) {
      case "folder":
        return this.#tree.makeFolder(names, mode);
      case "file":
        return this.#tree.writeFile(names, { mode, content: this.#counted(entry.content ?? []) });
      case "symlink":
        return this.#tree.makeSymlink(names, targetOf(entry));
      case "hardlink":
        return this.#tree.makeHardLink(
          names,
          this.#namesOf(entry.target ?? "", "the target of a hard link"),
        );
      case "device":
      case "fifo":
      case "socket":
        if (this.#options.specialFiles === "skip") return;
        throw invalid(`the archive's entry ${names.join("/")} is a ${entry.type}`);
    }
  }

  #namesOf(path: string | Uint8Array, what: string): readonly string[] {
    const checked = entryPathOf(path, this.#options);
    if (checked.kind === "inside") return checked.names;
    throw invalid(`${what} ${JSON.stringify(textOf(path).slice(0, 200))} ${checked.reason}`);
  }

  async *#counted(
    content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  ): AsyncGenerator<Uint8Array> {
    let fileBytes = 0;
    for await (const chunk of content) {
      fileBytes += chunk.byteLength;
      this.#budget.addBytes(chunk.byteLength, fileBytes);
      yield chunk;
    }
  }
}

/** A link's text: anything that a link can hold, since nobody here follows it. */
function targetOf({ target = "" }: ArchiveEntry): string {
  const text = textOf(target);
  const isGood = text !== "" && !text.includes("\0") && Buffer.byteLength(text) <= LINK_BYTES_MAX;
  if (isGood) return text;
  throw invalid(`the archive has a symbolic link with the target ${JSON.stringify(text)}`);
}

function textOf(path: string | Uint8Array): string {
  return typeof path === "string" ? path : new TextDecoder().decode(path);
}

function invalid(message: string): PlatformError {
  return new PlatformError(message, { code: "invalid_request", retryable: false });
}
