/** Walks a folder into a list of what is in it, in the order in which an index keeps it. */
import { lstatSync, readdirSync, readlinkSync, type Stats } from "node:fs";
import { setImmediate as turn } from "node:timers/promises";
import { messageOf, PlatformError } from "../../core/index.ts";

/**
 * What becomes of device nodes, FIFOs and sockets; `skip` leaves them out, `keep` keeps all but
 * sockets, which mean nothing at rest.
 */
export type SpecialFiles = "refuse" | "skip" | "keep";

/** What an index keeps of an inode's facts. */
export type InodeStats = Pick<
  Stats,
  | "mode"
  | "uid"
  | "gid"
  | "rdev"
  | "size"
  | "mtimeMs"
  | "isFile"
  | "isDirectory"
  | "isSymbolicLink"
  | "isBlockDevice"
  | "isCharacterDevice"
>;

/** One inode of a tree. */
export interface ScannedInode {
  /** From the root, each byte a character (latin1); `.` is the root. */
  readonly path: string;
  readonly stats: InodeStats;
  /** How many names it has within the tree. */
  links: number;
  /** Number of its folder. */
  readonly parent: number;
  /** Names and inodes in a folder, in byte order. */
  readonly entries: { readonly name: Buffer; readonly inode: number }[];
  readonly linkTarget: Buffer | undefined;
}

/** Entries looked at without giving way to the rest of the process. */
const ENTRIES_PER_TURN = 256;

/**
 * Everything under a folder: the root first, then each folder before what is in it, names in
 * byte order. Names that share a file (hard links) share one inode. Links are not followed.
 *
 * @throws PlatformError `invalid_request` for special files unless they are wanted or skipped,
 *   `unavailable` when the folder cannot be read
 */
export async function scanTree(rootDir: string, special: SpecialFiles): Promise<ScannedInode[]> {
  const scan = new Scan(rootDir, special);
  try {
    await scan.run();
  } catch (error) {
    if (error instanceof PlatformError) throw error;
    throw new PlatformError(`reading the tree ${rootDir} failed: ${messageOf(error)}`, {
      code: "unavailable",
      retryable: false,
      cause: error,
    });
  }
  return scan.inodes;
}

class Scan {
  readonly inodes: ScannedInode[] = [];
  readonly #rootDir: string;
  readonly #special: SpecialFiles;
  /** Files with more names than one, by device and inode number. */
  readonly #shared = new Map<string, number>();
  #looked = 0;

  constructor(rootDir: string, special: SpecialFiles) {
    this.#rootDir = rootDir;
    this.#special = special;
  }

  async run(): Promise<void> {
    const stats = lstatSync(this.#rootDir);
    if (!stats.isDirectory()) {
      throw new PlatformError(`${this.#rootDir} is no folder, so it is no tree of an image`, {
        code: "invalid_request",
        retryable: false,
      });
    }
    await this.#folder(this.#add(".", stats, 0));
  }

  /** Depth first, without recursion: trees may be deep. */
  async #folder(root: number): Promise<void> {
    const open = [root];
    for (let folder = open.pop(); folder !== undefined; folder = open.pop()) {
      const children = await this.#entriesOf(folder);
      open.push(...children.reverse());
    }
  }

  /** Adds what is in a folder; gives the folders among it. */
  async #entriesOf(folder: number): Promise<number[]> {
    const found = this.inodes[folder];
    if (found === undefined) return [];
    const names = readdirSync(this.#pathOf(found.path), { encoding: "buffer" });
    const folders: number[] = [];
    for (const name of names.sort((left, right) => Buffer.compare(left, right))) {
      if ((this.#looked += 1) % ENTRIES_PER_TURN === 0) await turn();
      const text = name.toString("latin1");
      const path = found.path === "." ? text : `${found.path}/${text}`;
      const inode = this.#inodeOf(path, folder);
      if (inode === undefined) continue;
      found.entries.push({ name, inode });
      if (this.inodes[inode]?.stats.isDirectory() === true) folders.push(inode);
    }
    return folders;
  }

  #inodeOf(path: string, parent: number): number | undefined {
    const stats = lstatSync(this.#pathOf(path));
    if (!this.#isWanted(path, stats)) return undefined;
    if (stats.isDirectory() || stats.nlink === 1) return this.#add(path, stats, parent);
    const key = `${stats.dev}:${stats.ino}`;
    const known = this.#shared.get(key);
    if (known === undefined) {
      const inode = this.#add(path, stats, parent);
      this.#shared.set(key, inode);
      return inode;
    }
    const shared = this.inodes[known];
    if (shared !== undefined) shared.links += 1;
    return known;
  }

  /** Whether an image has this. @throws PlatformError where it must not be there at all */
  #isWanted(path: string, stats: Stats): boolean {
    if (stats.isFile() || stats.isDirectory() || stats.isSymbolicLink()) return true;
    if (this.#special === "refuse") throw specialFile(path);
    return this.#special === "keep" && !stats.isSocket();
  }

  #add(path: string, stats: Stats, parent: number): number {
    const linkTarget = stats.isSymbolicLink()
      ? readlinkSync(this.#pathOf(path), { encoding: "buffer" })
      : undefined;
    return this.inodes.push({ path, stats, links: 1, parent, entries: [], linkTarget }) - 1;
  }

  #pathOf(path: string): Buffer {
    return pathIn(this.#rootDir, path);
  }
}

/** The bytes of a path in a tree, for names that are no UTF-8. */
export function pathIn(rootDir: string, path: string): Buffer {
  return Buffer.concat([Buffer.from(`${rootDir}/`), Buffer.from(path, "latin1")]);
}

function specialFile(path: string): PlatformError {
  return new PlatformError(
    `"${path}" is a device, FIFO or socket; images have none unless the caller keeps or skips them`,
    { code: "invalid_request", retryable: false, details: { path } },
  );
}
