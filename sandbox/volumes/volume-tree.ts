/**
 * What a volume has, as a map from paths to entries, and the index that keeps it.
 *
 * A volume keeps names, contents, times, links and whether a file may be run; owners and rights
 * it has none: whatever runs in a container may read and write all of it. Every file is a row of
 * pieces of `VOLUME_PIECE_BYTES`, each a chunk by its hash, so equal contents are stored once.
 */
import { assert } from "../../core/index.ts";
import { VOLUME_PIECE_BYTES } from "../../sdk/protocol/index.ts";
import { HOLE, S_IFDIR, S_IFLNK, S_IFREG, type ImageIndex } from "../store/image-index.ts";
import type { InodeStats, ScannedInode } from "../store/scan-tree.ts";
import { writeIndex } from "../store/write-index.ts";

/** One path of a volume. */
export type TreeEntry =
  | { readonly kind: "folder"; readonly modifiedAtMs: number }
  | { readonly kind: "link"; readonly target: string; readonly modifiedAtMs: number }
  | {
      readonly kind: "file";
      readonly bytes: number;
      /** Names of its pieces in order; `""` is one of zeros. */
      readonly chunks: readonly string[];
      readonly modifiedAtMs: number;
      readonly executable: boolean;
    };

/** Entries by path, without a slash in front; each folder of a path is one of them. */
export type VolumeTree = ReadonlyMap<string, TreeEntry>;

const USER_ID = 65_534;
/** Anybody in the container may do anything. */
const FOLDER_MODE = S_IFDIR | 0o777;
const FILE_MODE = S_IFREG | 0o666;
const PROGRAM_MODE = S_IFREG | 0o777;
const LINK_MODE = S_IFLNK | 0o777;
const RUN_BITS = 0o111;

/**
 * Tells two entries of a path apart, the time aside: equal for equal kinds and contents.
 * `none` stands for no entry.
 */
export function entryMark(entry: TreeEntry | undefined, hash: (text: string) => string): string {
  if (entry === undefined) return "none";
  switch (entry.kind) {
    case "folder":
      return "folder";
    case "link":
      return `link-${hash(entry.target)}`;
    case "file": {
      const { bytes, chunks, executable } = entry;
      return `file-${hash(`${executable ? "x" : "-"}${bytes}:${chunks.join(",")}`)}`;
    }
  }
}

/** What an index says. O(its size). */
export function treeOf(index: ImageIndex): VolumeTree {
  const tree = new Map<string, TreeEntry>();
  const open: { readonly inode: number; readonly path: string }[] = [{ inode: 0, path: "" }];
  for (let folder = open.pop(); folder !== undefined; folder = open.pop()) {
    for (const { name, inode } of index.entries(folder.inode)) {
      const path = pathOf(folder.path, Buffer.from(name).toString("utf8"));
      tree.set(path, entryOf(index, inode));
      if (index.type(inode) === S_IFDIR) open.push({ inode, path });
    }
  }
  return tree;
}

function entryOf(index: ImageIndex, inode: number): TreeEntry {
  const modifiedAtMs = index.mtimeSeconds(inode) * 1_000 + Math.floor(index.mtimeNs(inode) / 1e6);
  const type = index.type(inode);
  if (type === S_IFDIR) return { kind: "folder", modifiedAtMs };
  if (type === S_IFLNK) {
    const target = Buffer.from(index.linkTarget(inode)).toString("utf8");
    return { kind: "link", target, modifiedAtMs };
  }
  assert(type === S_IFREG, "an index of a volume has folders, files and links");
  const chunks = Array.from({ length: index.pieceCount(inode) }, (_, piece) => {
    const { chunk } = index.extent(inode, piece);
    return chunk === HOLE ? "" : index.chunkId(chunk);
  });
  const executable = (index.mode(inode) & RUN_BITS) !== 0;
  return { kind: "file", bytes: index.size(inode), chunks, modifiedAtMs, executable };
}

/** The bytes of the index of a tree; equal trees give equal bytes. O(n log n). */
export function indexOf(tree: VolumeTree): Uint8Array {
  const inodes: ScannedInode[] = [inodeOf(".", { kind: "folder", modifiedAtMs: 0 }, 0)];
  const numbers = new Map<string, number>([["", 0]]);
  const chunkNumbers = new Map<string, number>();
  const chunks: { readonly id: string; readonly byteCount: number }[] = [];
  const extents = new Map<number, { readonly chunk: number; readonly start: number }[]>();
  // A folder's path is before those in it in this order, too.
  for (const [path, entry] of sorted(tree)) {
    const parent = numbers.get(folderOf(path));
    assert(parent !== undefined, `the folder of ${path} is in the tree`);
    const inode = inodes.push(inodeOf(path, entry, parent)) - 1;
    numbers.set(path, inode);
    inodes[parent]?.entries.push({ name: Buffer.from(nameOf(path)), inode });
    if (entry.kind !== "file") continue;
    const places = entry.chunks.map((id, piece) => {
      if (id === "") return { chunk: HOLE, start: 0 };
      const byteCount = Math.min(VOLUME_PIECE_BYTES, entry.bytes - piece * VOLUME_PIECE_BYTES);
      const known = chunkNumbers.get(id) ?? chunks.push({ id, byteCount }) - 1;
      chunkNumbers.set(id, known);
      return { chunk: known, start: 0 };
    });
    extents.set(inode, places);
  }
  for (const { entries } of inodes) entries.sort((a, b) => Buffer.compare(a.name, b.name));
  const pieceBytes = VOLUME_PIECE_BYTES;
  return writeIndex({ pieceBytes, inodes, extents, chunks, xattrs: new Map() });
}

/** The entries of a tree by path, in the order of its bytes. */
export function sorted(tree: VolumeTree): readonly (readonly [string, TreeEntry])[] {
  return [...tree].sort(([one], [other]) => Buffer.compare(Buffer.from(one), Buffer.from(other)));
}

/** How many pieces a file of this size has. */
export function pieceCountOf(bytes: number): number {
  return Math.ceil(bytes / VOLUME_PIECE_BYTES);
}

/** The folder that has a path; `""` is the root. */
export function folderOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")));
}

/** A path of a name in a folder. */
export function pathOf(folder: string, name: string): string {
  return folder === "" ? name : `${folder}/${name}`;
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

function inodeOf(path: string, entry: TreeEntry, parent: number): ScannedInode {
  const linkTarget = entry.kind === "link" ? Buffer.from(entry.target) : undefined;
  return { path, stats: statsOf(entry), links: 1, parent, entries: [], linkTarget };
}

function statsOf(entry: TreeEntry): InodeStats {
  const { kind, modifiedAtMs: mtimeMs } = entry;
  return {
    mode: modeOf(entry),
    uid: USER_ID,
    gid: USER_ID,
    rdev: 0,
    size: entry.kind === "file" ? entry.bytes : 0,
    mtimeMs,
    isFile: () => kind === "file",
    isDirectory: () => kind === "folder",
    isSymbolicLink: () => kind === "link",
    isBlockDevice: () => false,
    isCharacterDevice: () => false,
  };
}

function modeOf(entry: TreeEntry): number {
  if (entry.kind === "folder") return FOLDER_MODE;
  if (entry.kind === "link") return LINK_MODE;
  return entry.executable ? PROGRAM_MODE : FILE_MODE;
}
