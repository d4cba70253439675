/**
 * What a container has written to its root, as a layer: a tar archive as OCI images mean them.
 *
 * The root is an overlay: its image below, what was written above. What is above is an entry of
 * the archive; what is below and no more to be seen is a whiteout. So nothing is read of how
 * overlayfs marks what it hides.
 *
 * The tree is hostile, and whoever wrote it may change it meanwhile: all paths go through
 * `ConfinedTree`, which follows no link. A file has the size that it had when its turn came, with
 * zeros in the place of what is gone by then. Its extended attributes of programs (`user.*`) are
 * those of when packing began, where the machine has a program to read them.
 */
import type { FileHandle } from "node:fs/promises";
import { PlatformError, systemCodeOf } from "../../../core/index.ts";
import { ConfinedTree } from "../../archive/confined-tree.ts";
import { entryPathOf } from "../../archive/entry-path.ts";
import type { SeenEntry } from "../../archive/seen-entry.ts";
import { readUserXattrs } from "../../archive/tree-xattrs.ts";
import type { Xattr } from "../../store/index.ts";
import { TAR_END, tarHeader, tarPadding, type TarHeader } from "./write-header.ts";

/** The folders of an overlay, as paths of this machine. */
export interface WrittenFolders {
  /** What was written. */
  readonly upper: string;
  /** What it was written over. */
  readonly lower: string;
  /** Both, as the container sees them. */
  readonly merged: string;
}

export interface PackOptions {
  /** Most bytes of all files together; the holes of a file count. */
  readonly bytesMax: number;
  /** Told the path of what no layer can have, and why. */
  readonly onLeftOut: (path: string, why: string) => void;
}

type Names = readonly string[];

const ENTRIES_MAX = 1_000_000;
/** Folders times their depth: each is found anew from the root. */
const STEPS_MAX = 1_000_000;
const READ_BYTES = 256 * 1_024;
const MARK = ".wh.";

/**
 * The archive, piece by piece.
 *
 * @throws PlatformError `payload_too_large` when it is more than it may be
 */
export async function* packWritten(
  folders: WrittenFolders,
  options: PackOptions,
): AsyncGenerator<Uint8Array, void, void> {
  const trees: ConfinedTree[] = [];
  try {
    for (const path of [folders.upper, folders.lower, folders.merged]) {
      trees.push(await ConfinedTree.open(path));
    }
    const [upper, lower, merged] = trees;
    if (upper === undefined || lower === undefined || merged === undefined) return;
    const xattrs = (await readUserXattrs(folders.upper)) ?? new Map<string, readonly Xattr[]>();
    yield* new Packing({ upper, lower, merged }, xattrs, options).folder([]);
    yield TAR_END;
  } finally {
    for (const tree of trees) await tree.close();
  }
}

class Packing {
  readonly #trees: { readonly [Name in keyof WrittenFolders]: ConfinedTree };
  readonly #xattrs: ReadonlyMap<string, readonly Xattr[]>;
  readonly #options: PackOptions;
  /** The first path of each file that has several, by device and inode. */
  readonly #linked = new Map<string, string>();
  #bytes = 0;
  #entries = 0;
  #steps = 0;

  constructor(
    trees: { readonly [Name in keyof WrittenFolders]: ConfinedTree },
    xattrs: ReadonlyMap<string, readonly Xattr[]>,
    options: PackOptions,
  ) {
    this.#trees = trees;
    this.#xattrs = xattrs;
    this.#options = options;
  }

  async *folder(names: Names): AsyncGenerator<Uint8Array, void, void> {
    const { upper, lower, merged } = this.#trees;
    this.#steps += names.length;
    if (this.#steps > STEPS_MAX)
      throw tooMuch("its folders are too many and too deep; remove some");
    const above = await upper.look(names).catch(goneIsEmpty);
    const below = await lower.list(names).catch(goneIsEmpty);
    const seen = new Set(await merged.list(names).catch(goneIsEmpty));
    for (const name of below) {
      // A name that is no UTF-8 comes as another one.
      if (seen.has(name) || name.includes("\uFFFD")) continue;
      const mark = [...names, `${MARK}${name}`];
      const fault = pathFaultOf(mark);
      if (fault === undefined) yield this.#header({ names: mark, type: "file", byteCount: 0 });
      else this.#leaveOut(names, name, `its removal cannot be said: that ${fault}`);
    }
    for (const entry of above) {
      const { name } = entry;
      // Overlayfs marks by a device of the number 0 that a name is not to be seen.
      if (entry.stats.isCharacterDevice() && entry.stats.rdev === 0n) continue;
      const fault = faultOf(names, name);
      if (name === undefined || fault !== undefined) this.#leaveOut(names, name, fault ?? "");
      else yield* this.#entry([...names, name], entry);
    }
  }

  async *#entry(
    names: Names,
    { stats, target }: SeenEntry,
  ): AsyncGenerator<Uint8Array, void, void> {
    const facts = factsOf({ stats });
    if (stats.isDirectory()) {
      const xattrs = this.#xattrs.get(names.join("/")) ?? [];
      yield this.#header({ ...facts, names, type: "directory", byteCount: 0, xattrs });
      yield* this.folder(names);
    } else if (stats.isFile()) {
      yield* this.#file(names);
    } else if (target !== undefined && target !== "") {
      yield this.#header({ ...facts, names, type: "symlink", linkName: target, byteCount: 0 });
    } else {
      this.#leaveOut(names.slice(0, -1), names.at(-1), kindOf({ stats }));
    }
  }

  async *#file(names: Names): AsyncGenerator<Uint8Array, void, void> {
    const file = await this.#trees.upper.openFile(names).catch(goneIsNothing);
    if (file === undefined) return;
    try {
      const stats = await file.stat({ bigint: true });
      const facts = factsOf({ stats });
      const path = names.join("/");
      const inode = `${stats.dev}:${stats.ino}`;
      const first = stats.nlink > 1n ? this.#linked.get(inode) : undefined;
      if (first !== undefined) {
        yield this.#header({ ...facts, names, type: "hardlink", linkName: first, byteCount: 0 });
        return;
      }
      const byteCount = Number(stats.size);
      this.#count(path, byteCount);
      if (stats.nlink > 1n) this.#linked.set(inode, path);
      const xattrs = this.#xattrs.get(path) ?? [];
      yield this.#header({ ...facts, names, type: "file", byteCount, xattrs });
      yield* contentOf(file, byteCount);
      yield tarPadding(byteCount);
    } finally {
      await file.close();
    }
  }

  #header({
    names,
    mode = 0o644,
    uid = 0,
    gid = 0,
    modifiedAtS = 0,
    ...rest
  }: Pick<TarHeader, "type" | "linkName" | "byteCount" | "xattrs"> &
    Partial<ReturnType<typeof factsOf>> & { readonly names: Names }): Uint8Array {
    this.#entries += 1;
    if (this.#entries > ENTRIES_MAX) {
      throw tooMuch(`there are more than ${ENTRIES_MAX} files and folders; remove some`);
    }
    return tarHeader({ name: names.join("/"), mode, uid, gid, modifiedAtS, ...rest });
  }

  #count(path: string, byteCount: number): void {
    this.#bytes += byteCount;
    const { bytesMax } = this.#options;
    if (this.#bytes <= bytesMax) return;
    throw tooMuch(
      `up to ${shownPath(path)} (${byteCount} bytes) there are ${this.#bytes} bytes and may be ` +
        `${bytesMax}, the size of its disk; holes of files count, so remove files with large ones`,
    );
  }

  #leaveOut(folder: Names, name: string | undefined, why: string): void {
    this.#options.onLeftOut([...folder, name ?? "?"].join("/"), why);
  }
}

/** So many bytes of a file, whatever becomes of it meanwhile. */
async function* contentOf(
  file: FileHandle,
  byteCount: number,
): AsyncGenerator<Uint8Array, void, void> {
  for (let at = 0; at < byteCount;) {
    const piece = Buffer.alloc(Math.min(READ_BYTES, byteCount - at));
    const { bytesRead } = await file.read(piece, 0, piece.byteLength, at);
    // What is gone is as it was made: zeros.
    const bytes = bytesRead === 0 ? piece : piece.subarray(0, bytesRead);
    yield bytes;
    at += bytes.byteLength;
  }
}

function factsOf({ stats }: Pick<SeenEntry, "stats">) {
  return {
    mode: Number(stats.mode) & 0o7777,
    uid: Number(stats.uid),
    gid: Number(stats.gid),
    modifiedAtS: Number(stats.mtimeNs / 1_000_000_000n),
  };
}

/** Why a layer cannot have a name. */
function faultOf(folder: Names, name: string | undefined): string | undefined {
  if (name === undefined) return "its name is no UTF-8";
  if (name.startsWith(MARK)) return `a name that begins with "${MARK}" means a removal in a layer`;
  const fault = pathFaultOf([...folder, name]);
  return fault === undefined ? undefined : `its path ${fault}`;
}

function pathFaultOf(names: Names): string | undefined {
  const checked = entryPathOf(names.join("/"));
  return checked.kind === "inside" ? undefined : checked.reason;
}

function kindOf({ stats }: Pick<SeenEntry, "stats">): string {
  if (stats.isSocket()) return "it is a socket";
  if (stats.isFIFO()) return "it is a pipe";
  return stats.isSymbolicLink() ? "its target is no UTF-8" : "it is a device";
}

function shownPath(path: string): string {
  return JSON.stringify(`/${path}`).slice(0, 200);
}

function tooMuch(why: string): PlatformError {
  return new PlatformError(`what was written is too much for an image: ${why}`, {
    code: "payload_too_large",
    retryable: false,
  });
}

/** A folder that was removed, or is something else below or by now, has nothing in it. */
function goneIsEmpty(error: unknown): readonly never[] {
  if (isGone(error)) return [];
  throw error;
}

function goneIsNothing(error: unknown): undefined {
  if (isGone(error)) return undefined;
  throw error;
}

function isGone(error: unknown): boolean {
  if (error instanceof PlatformError) return true;
  return ["ENOENT", "ENOTDIR", "ELOOP"].includes(systemCodeOf(error) ?? "");
}
