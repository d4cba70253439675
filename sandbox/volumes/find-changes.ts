/**
 * What a container has changed in its folder of a volume.
 *
 * The folder is an overlay: the version that it began with below, its changes above. So only
 * what is above is looked at, and of that only what is not as it was at the last look: by inode,
 * size and times, of which the time of change cannot be set by a program. What a folder that was
 * renamed has of the version is a change under its new name, and nothing of it is read.
 *
 * The folder is hostile: whoever wrote it may exchange files for links meanwhile. All paths go
 * through `ConfinedTree`, which follows none.
 */
import { hash } from "node:crypto";
import type { BigIntStats } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { PlatformError, systemCodeOf } from "../../core/index.ts";
import type { VolumeChange, VolumeRemoval } from "../../sdk/protocol/index.ts";
import type { ConfinedTree } from "../archive/confined-tree.ts";
import type { SeenEntry } from "../archive/seen-entry.ts";
import { cutPieces, type Piece } from "./cut-pieces.ts";
import type { KnownTree } from "./known-tree.ts";
import { changeOf, pathFault } from "./merge.ts";
import { Origins } from "./origins.ts";
import { entryMark, pathOf } from "./volume-tree.ts";

export interface FindOptions {
  /** The changes alone, and all as the container sees it. */
  readonly upper: ConfinedTree;
  readonly merged: ConfinedTree;
  /** The version below, as it is mounted, and what it has. */
  readonly lower: ConfinedTree;
  readonly base: KnownTree;
  readonly known: KnownTree;
  /** What files were at the last look, by path: see `signatureOf`. */
  readonly signatures: ReadonlyMap<string, string>;
  /** Takes the pieces of changed files. */
  readonly take: (piece: Piece) => Promise<void>;
  /** Takes pieces of the version, which need be read only if nobody has them any more. */
  readonly takeAgain: (chunkIds: readonly string[]) => Promise<void>;
  /** Files modified after this are left for the next time; absent: none. */
  readonly settledBeforeMs?: number;
  readonly signal?: AbortSignal;
}

export interface FoundChanges {
  readonly changes: readonly VolumeChange[];
  readonly removals: readonly VolumeRemoval[];
  /** What the files were that were looked at, once their changes are committed. */
  readonly signatures: ReadonlyMap<string, string>;
  /** Paths that no volume keeps. */
  readonly skipped: readonly string[];
  /** Files that are being written. */
  readonly busy: readonly string[];
}

/** A file that changes while it is read is read again so often. */
const READS_MAX = 3;

/** The short text that marks of entries have of long ones. */
export function markHash(text: string): string {
  return hash("sha256", text, "hex").slice(0, 32);
}

/** A text that is another one when a file was changed. */
export function signatureOf({ ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return `${ino}:${size}:${mtimeNs}:${ctimeNs}`;
}

/** Looks at all that is above. @throws PlatformError as `take` does */
export async function findChanges(options: FindOptions): Promise<FoundChanges> {
  const search = new Search(options);
  await search.folder([]);
  return search;
}

class Search implements FoundChanges {
  readonly changes: VolumeChange[] = [];
  readonly removals: VolumeRemoval[] = [];
  readonly signatures = new Map<string, string>();
  readonly skipped: string[] = [];
  readonly busy: string[] = [];
  readonly #options: FindOptions;
  readonly #origins: Origins;

  constructor(options: FindOptions) {
    this.#options = options;
    this.#origins = new Origins(options);
  }

  /** @param guess The folder of the version that it came from, if it was not renamed itself. */
  async folder(names: readonly string[], guess = ""): Promise<void> {
    const { upper, merged, known, signal } = this.#options;
    signal?.throwIfAborted();
    const path = names.join("/");
    const above = await upper.look(names).catch(goneIsEmpty);
    const there = new Set(await merged.list(names).catch(goneIsEmpty));
    for (const name of known.namesIn(path)) {
      if (!there.has(name)) this.#removed(pathOf(path, name));
    }
    for (const entry of above) {
      // What hides something below: the mark of overlayfs, seen in what is not there.
      if (entry.name !== undefined && !there.has(entry.name)) continue;
      await this.#entry(names, entry, guess);
    }
    const aboveNames = new Set(above.map(({ name }) => name));
    const untouched = [...there].filter((name) => !aboveNames.has(name));
    if (untouched.length > 0) await this.#below(names, untouched, guess);
  }

  /** What shows in a folder of the version below: after a rename that is another folder's. */
  async #below(
    names: readonly string[],
    untouched: readonly string[],
    guess: string,
  ): Promise<void> {
    const path = names.join("/");
    const origin = await this.#origins.of(names, untouched, guess);
    if (origin.kind === "unsure") this.busy.push(path);
    for (const name of untouched) {
      if (origin.kind === "hollow") await this.#hollow([...names, name]);
      if (origin.kind !== "folder") continue;
      await this.#untouched(pathOf(path, name), pathOf(origin.path, name));
    }
  }

  /** Something of the version, whole, maybe under another name. */
  async #untouched(path: string, from: string): Promise<void> {
    const { base, known, takeAgain } = this.#options;
    const entry = base.get(from);
    // What is in step from the start on is the very entry.
    if (entry === undefined || known.get(path) === entry) return;
    if (pathFault(path) !== undefined) {
      this.skipped.push(path);
      return;
    }
    const inside = base.namesIn(from);
    for (const name of known.namesIn(path)) {
      if (!inside.has(name)) this.#removed(pathOf(path, name));
    }
    const isNews = this.#change(changeOf(path, entry));
    if (entry.kind === "file" && isNews) await takeAgain(entry.chunks);
    for (const name of inside) await this.#untouched(pathOf(path, name), pathOf(from, name));
  }

  /** A folder with nothing but folders in it. */
  async #hollow(names: readonly string[]): Promise<void> {
    const stats = await this.#options.merged.seen(names);
    if (stats?.isDirectory() !== true) return;
    const path = names.join("/");
    const modifiedAtMs = Math.floor(Number(stats.mtimeNs / 1_000_000n));
    this.#change({ kind: "folder", path, modifiedAtMs });
    await this.folder(names);
  }

  async #entry(folder: readonly string[], entry: SeenEntry, folderGuess: string): Promise<void> {
    const { name, stats, target } = entry;
    const path = pathOf(folder.join("/"), name ?? "?");
    if (name === undefined || pathFault(path) !== undefined) {
      this.skipped.push(path);
      return;
    }
    const modifiedAtMs = Math.floor(Number(stats.mtimeNs / 1_000_000n));
    if (stats.isDirectory()) {
      if (this.#options.known.get(path)?.kind !== "folder") {
        this.#change({ kind: "folder", path, modifiedAtMs });
      }
      await this.folder([...folder, name], pathOf(folderGuess, name));
    } else if (stats.isFile()) await this.#file([...folder, name], stats);
    else if (target !== undefined && target !== "") {
      this.#change({ kind: "link", path, target, modifiedAtMs });
    } else this.skipped.push(path);
  }

  async #file(names: readonly string[], stats: BigIntStats): Promise<void> {
    const path = names.join("/");
    if (this.#options.signatures.get(path) === signatureOf(stats)) return;
    const { settledBeforeMs = Infinity } = this.#options;
    if (Number(stats.mtimeNs / 1_000_000n) > settledBeforeMs) {
      this.busy.push(path);
      return;
    }
    for (let read = 0; read < READS_MAX; read += 1) {
      const outcome = await this.#read(names, path);
      if (outcome !== "changed") return;
    }
    this.busy.push(path);
  }

  async #read(names: readonly string[], path: string): Promise<"read" | "gone" | "changed"> {
    const file = await this.#open(names);
    if (file === undefined) return "gone";
    try {
      const before = await file.stat({ bigint: true });
      const { chunks, bytes } = await cutPieces(file, this.#options.take);
      const after = await file.stat({ bigint: true });
      const signature = signatureOf(after);
      if (signatureOf(before) !== signature || BigInt(bytes) !== after.size) return "changed";
      const modifiedAtMs = Math.floor(Number(after.mtimeNs / 1_000_000n));
      const executable = (after.mode & 0o111n) !== 0n;
      this.signatures.set(path, signature);
      this.#change({
        kind: "file",
        path,
        bytes,
        chunks,
        modifiedAtMs,
        ...(executable ? { executable } : {}),
      });
      return "read";
    } finally {
      await file.close();
    }
  }

  /** Undefined when it is a file no more. */
  async #open(names: readonly string[]): Promise<FileHandle | undefined> {
    try {
      return await this.#options.upper.openFile(names);
    } catch (error) {
      const isGone = error instanceof PlatformError || systemCodeOf(error) !== undefined;
      if (isGone) return undefined;
      throw error;
    }
  }

  #removed(path: string): void {
    const { known } = this.#options;
    for (const gone of known.below(path)) {
      this.removals.push({ path: gone, was: entryMark(known.get(gone), markHash) });
    }
  }

  /** Says that a path is so, unless it was so before; whether that is news. */
  #change(change: VolumeChange): boolean {
    const before = this.#options.known.get(change.path);
    // A file or link in the place of a folder: what was in that is gone.
    if (before?.kind === "folder" && change.kind !== "folder") {
      for (const gone of this.#options.known.below(change.path).slice(0, -1)) {
        this.removals.push({ path: gone, was: entryMark(this.#options.known.get(gone), markHash) });
      }
    }
    const was = entryMark(before, markHash);
    if (isSame(before, change, was)) return false;
    this.changes.push({ ...change, was });
    return true;
  }
}

/** Whether the entry that is known says the same, the time included. */
function isSame(before: ReturnType<KnownTree["get"]>, change: VolumeChange, mark: string): boolean {
  if (before === undefined || before.kind !== change.kind) return false;
  if (change.kind === "folder") return true;
  if (change.kind === "link") return mark === entryMark({ ...change }, markHash);
  const { executable = false } = change;
  const isEqual = mark === entryMark({ ...change, executable }, markHash);
  return isEqual && before.modifiedAtMs === change.modifiedAtMs;
}

/** A folder that was removed, or exchanged for something else, has nothing in it. */
function goneIsEmpty(error: unknown): readonly never[] {
  if (error instanceof PlatformError) return [];
  if (["ENOENT", "ENOTDIR", "ELOOP"].includes(systemCodeOf(error) ?? "")) return [];
  throw error;
}
