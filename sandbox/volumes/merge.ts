/**
 * How a commit becomes the next version of a volume: path by path, onto the newest one.
 *
 * A writer says what each path is from now on, and what it knew there. Paths that it does not
 * name stay as the others left them, so writers of different files never lose anything. Of one
 * path the last writer wins, and is told when it overwrote what it had not seen. A folder goes
 * only once it is empty, so that a file which another put there keeps it.
 *
 * Pure.
 */
import {
  VOLUME_BYTES_MAX,
  VOLUME_ENTRIES_MAX,
  VOLUME_FILE_BYTES_MAX,
  type VolumeChange,
  type VolumeRemoval,
} from "../../sdk/protocol/index.ts";
import { entryPathOf } from "../archive/entry-path.ts";
import {
  entryMark,
  folderOf,
  pieceCountOf,
  type TreeEntry,
  type VolumeTree,
} from "./volume-tree.ts";

/** What a writer wants. */
export interface TreeChanges {
  readonly changes: readonly VolumeChange[];
  readonly removals: readonly VolumeRemoval[];
}

/** The next version, or why it cannot be. */
export type Merge =
  | {
      readonly kind: "merged";
      readonly tree: VolumeTree;
      readonly changedCount: number;
      readonly removedCount: number;
      /** Paths that were not as the writer knew them. */
      readonly overwritten: readonly string[];
    }
  | { readonly kind: "refused"; readonly reason: string; readonly isTooLarge: boolean };

const CHUNK_ID = /^([0-9a-f]{64})?$/;
const LINK_BYTES_MAX = 4_095;

/**
 * The tree after these changes.
 *
 * @param hash Gives a short text for a long one, equal for equal ones only.
 */
export function mergeChanges(
  head: VolumeTree,
  { changes, removals }: TreeChanges,
  hash: (text: string) => string,
): Merge {
  const fault = firstFault(changes) ?? firstFault(removals);
  if (fault !== undefined) return { kind: "refused", reason: fault, isTooLarge: false };
  const work = new Work(head, hash);
  // The deepest first: a folder is empty by its own turn, and a file may have its place.
  for (const removal of removals.toSorted((a, b) => depthOf(b.path) - depthOf(a.path))) {
    work.remove(removal);
  }
  // A folder before what is in it, so that its own change says what was known of it.
  for (const change of changes.toSorted((a, b) => depthOf(a.path) - depthOf(b.path))) {
    work.put(change);
  }
  const limit = limitPassed(work.tree);
  if (limit !== undefined) return { kind: "refused", reason: limit, isTooLarge: true };
  const { tree, changedCount, removedCount } = work;
  return { kind: "merged", tree, changedCount, removedCount, overwritten: [...work.overwritten] };
}

/** The bytes of all files of a tree. */
export function bytesOf(tree: VolumeTree): number {
  let bytes = 0;
  for (const entry of tree.values()) if (entry.kind === "file") bytes += entry.bytes;
  return bytes;
}

/** What a change makes of its path. */
export function entryOfChange(change: VolumeChange): TreeEntry {
  const { modifiedAtMs } = change;
  if (change.kind === "folder") return { kind: "folder", modifiedAtMs };
  if (change.kind === "link") return { kind: "link", target: change.target, modifiedAtMs };
  const { bytes, chunks, executable = false } = change;
  return { kind: "file", bytes, chunks, modifiedAtMs, executable };
}

/** The change that makes a path what an entry says. */
export function changeOf(path: string, entry: TreeEntry): VolumeChange {
  if (entry.kind !== "file") return { path, ...entry };
  const { executable, ...file } = entry;
  return { path, ...file, ...(executable ? { executable } : {}) };
}

class Work {
  readonly tree: Map<string, TreeEntry>;
  readonly overwritten = new Set<string>();
  readonly #hash: (text: string) => string;
  /** How many entries each folder has. */
  readonly #counts = new Map<string, number>();
  changedCount = 0;
  removedCount = 0;

  constructor(head: VolumeTree, hash: (text: string) => string) {
    this.tree = new Map(head);
    this.#hash = hash;
    for (const path of head.keys()) this.#count(path, 1);
  }

  put(change: VolumeChange): void {
    const { path, was } = change;
    const entry = entryOfChange(change);
    const before = this.tree.get(path);
    if (this.#mark(before) !== this.#mark(entry)) this.#note(path, before, was);
    else if (before?.modifiedAtMs === entry.modifiedAtMs) return;
    if (before?.kind === "folder" && entry.kind !== "folder") this.#removeTree(path, true);
    this.#ensureFolder(folderOf(path), entry.modifiedAtMs);
    this.#set(path, entry);
    this.changedCount += 1;
  }

  remove({ path, was, recursive = false }: VolumeRemoval): void {
    const before = this.tree.get(path);
    if (before === undefined) return;
    const isFull = (this.#counts.get(path) ?? 0) > 0;
    if (isFull && !recursive) return;
    if (before.kind !== "folder") this.#note(path, before, was);
    if (isFull) this.#removeTree(path, false);
    this.#delete(path);
    this.removedCount += 1;
  }

  /** Removes all below a path; what the writer did not know of is told. */
  #removeTree(path: string, isTold: boolean): void {
    for (const below of [...this.tree.keys()].filter((one) => one.startsWith(`${path}/`))) {
      if (isTold && this.tree.get(below)?.kind !== "folder") this.overwritten.add(below);
      this.#delete(below);
      this.removedCount += 1;
    }
  }

  /** A file or link in the place of a folder is replaced by it. */
  #ensureFolder(path: string, modifiedAtMs: number): void {
    if (path === "") return;
    const before = this.tree.get(path);
    if (before?.kind === "folder") return;
    if (before !== undefined) this.overwritten.add(path);
    this.#ensureFolder(folderOf(path), modifiedAtMs);
    this.#set(path, { kind: "folder", modifiedAtMs });
  }

  #note(path: string, before: TreeEntry | undefined, was: string | undefined): void {
    if (was !== undefined && was !== this.#mark(before)) this.overwritten.add(path);
  }

  #mark(entry: TreeEntry | undefined): string {
    return entryMark(entry, this.#hash);
  }

  #set(path: string, entry: TreeEntry): void {
    if (!this.tree.has(path)) this.#count(path, 1);
    this.tree.set(path, entry);
  }

  #delete(path: string): void {
    if (this.tree.delete(path)) this.#count(path, -1);
  }

  #count(path: string, more: number): void {
    const folder = folderOf(path);
    this.#counts.set(folder, (this.#counts.get(folder) ?? 0) + more);
  }
}

function limitPassed(tree: VolumeTree): string | undefined {
  if (tree.size > VOLUME_ENTRIES_MAX) {
    return `it would have ${tree.size} files and folders, and ${VOLUME_ENTRIES_MAX} are the most`;
  }
  const bytes = bytesOf(tree);
  if (bytes <= VOLUME_BYTES_MAX) return undefined;
  return `it would have ${bytes} bytes, and ${VOLUME_BYTES_MAX} are the most`;
}

function firstFault(all: readonly (VolumeChange | VolumeRemoval)[]): string | undefined {
  for (const one of all) {
    const fault = pathFault(one.path) ?? ("kind" in one ? contentFault(one) : undefined);
    if (fault !== undefined) return `the path ${JSON.stringify(one.path.slice(0, 200))} ${fault}`;
  }
  return undefined;
}

/** Why a text is no path of a volume, as it is kept; ends a sentence. */
export function pathFault(path: string): string | undefined {
  const checked = entryPathOf(path);
  if (checked.kind === "refused") return checked.reason;
  if (checked.names.length === 0) return "is the root itself";
  return checked.names.join("/") === path ? undefined : "is not in its shortest form";
}

function contentFault(change: VolumeChange): string | undefined {
  if (change.kind === "folder") return undefined;
  if (change.kind === "link") {
    const { target } = change;
    const isTarget = target !== "" && !target.includes("\0") && target.isWellFormed();
    return isTarget && Buffer.byteLength(target) <= LINK_BYTES_MAX
      ? undefined
      : "is a link whose target no link can have";
  }
  const { bytes, chunks } = change;
  if (bytes > VOLUME_FILE_BYTES_MAX) return `has more than ${VOLUME_FILE_BYTES_MAX} bytes`;
  if (chunks.length !== pieceCountOf(bytes)) return `does not have the pieces for ${bytes} bytes`;
  return chunks.every((id) => CHUNK_ID.test(id)) ? undefined : "has a piece that is none";
}

function depthOf(path: string): number {
  return path.split("/").length;
}
