/**
 * A folder that nothing written through it can leave.
 *
 * Every path is walked name by name from an open root: each step opens one name in an open
 * folder (`/proc/self/fd/N/name`, which Linux resolves as openat(2) does) without following a
 * link. Whoever exchanges folders for links meanwhile changes what is found in the tree, never
 * where it ends. Links are kept as they are written; on the way they are refused, or resolved as
 * a process would that has the root as its `/`.
 *
 * It does not hold against somebody who moves an open folder out of the root from outside.
 */
import { randomUUID } from "node:crypto";
import { constants, type BigIntStats, type Stats } from "node:fs";
import {
  lchown,
  lstat,
  mkdir,
  open,
  readdir,
  readlink,
  rename,
  link,
  rmdir,
  symlink,
  unlink,
  type FileHandle,
} from "node:fs/promises";
import { relative } from "node:path";
import { assert, PlatformError, systemCodeOf } from "../../core/index.ts";
import { DEPTH_MAX, foldedName } from "./entry-path.ts";
import { fdPath, lookAt, type SeenEntry } from "./seen-entry.ts";

export interface ConfinedTreeOptions {
  /** Symbolic links in the middle of a path: an error, or followed as if the root were `/`. */
  readonly linksOnTheWay?: "refuse" | "resolve";
  /** Names in one folder that differ in case or composition only. */
  readonly lookalikes?: "refuse" | "keep";
}

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

export interface NewFile {
  /** Permission bits; set-user-id, set-group-id and sticky ones among them are kept. */
  readonly mode: number;
  readonly content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
  /** That of this process unless given. */
  readonly owner?: Owner;
  /** Seconds since 1970; now unless given. */
  readonly modifiedAtS?: number;
}

type Names = readonly string[];

/** A folder that stays open for whoever comes next: archives go through theirs one by one. */
interface OpenFolder {
  /** Its path, as it was asked for. */
  readonly key: string;
  readonly handle: FileHandle;
  users: number;
}

/** A name in an open folder. */
interface Place {
  readonly folder: FileHandle;
  readonly name: string;
}

const FOLDER_FLAGS = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
/** Of `/proc/self/fd/N`, which is a link to an open folder. */
const FOLDER_OF_FD_FLAGS = constants.O_RDONLY | constants.O_DIRECTORY;
const NEW_FILE_FLAGS =
  constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
const READ_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
const MODE_BITS = 0o7777;
const FOLDER_MODE = 0o755;
const LINK_BYTES_MAX = 4_095;
/** As many links as Linux follows in one path (path_resolution(7)). */
const LINKS_MAX = 40;
/** Names in one path with all links on it, and folders that are open on it at a time. */
const STEPS_MAX = 8_192;
const WAY_MAX = 2 * DEPTH_MAX;

export class ConfinedTree {
  readonly #root: FileHandle;
  readonly #options: ConfinedTreeOptions;
  /** Folded names of folders that were looked into, by the folder's path. */
  readonly #folded = new Map<string, Map<string, string>>();
  #last: OpenFolder | undefined;

  private constructor(root: FileHandle, options: ConfinedTreeOptions) {
    this.#root = root;
    this.#options = options;
  }

  /** Opens a tree at an existing folder. @throws PlatformError when there is none */
  static async open(root: string, options: ConfinedTreeOptions = {}): Promise<ConfinedTree> {
    const handle = await open(root, constants.O_RDONLY | constants.O_DIRECTORY);
    return new ConfinedTree(handle, options);
  }

  async close(): Promise<void> {
    await this.#forget();
    await this.#root.close();
  }

  /** Makes the folders of a path that are not there, and leaves those that are as they are. */
  async ensureFolder(names: Names): Promise<void> {
    await this.#inFolder(names, true, () => Promise.resolve());
  }

  /**
   * Makes a folder and those above it. One that is there gets mode and owner; anything else with
   * its name is replaced, a link to a folder too.
   */
  async makeFolder(names: Names, mode: number, owner?: Owner): Promise<void> {
    if (names.length === 0) return finish(this.#root, { mode, owner });
    await this.#at(names, true, async (place) => {
      const stats = await statsOf(place);
      if (stats?.isDirectory() !== true) {
        if (stats === undefined) await this.#checkLookalike(names, place);
        else await this.#removeAt(place);
        await mkdir(pathOf(place), FOLDER_MODE);
      }
      const folder = await open(pathOf(place), FOLDER_FLAGS);
      await finish(folder, { mode, owner }).finally(() => folder.close());
    });
  }

  /** Sets when a folder was modified, once nothing more is put into it; no folder is no error. */
  async setFolderTime(names: Names, modifiedAtS: number): Promise<void> {
    if (names.length === 0) return this.#root.utimes(modifiedAtS, modifiedAtS);
    try {
      await this.#at(names, false, async (place) => {
        const folder = await open(pathOf(place), FOLDER_FLAGS);
        await folder.utimes(modifiedAtS, modifiedAtS).finally(() => folder.close());
      });
    } catch (error) {
      if (!["ENOENT", "ENOTDIR", "ELOOP"].includes(systemCodeOf(error) ?? "")) throw error;
    }
  }

  /** Where a path leads, links on the way resolved: equal for two paths of one thing. */
  async placeOf(names: Names): Promise<string> {
    return this.#at(names, false, async ({ folder, name }) => {
      const { dev, ino } = await folder.stat();
      return `${dev}:${ino}/${name}`;
    });
  }

  /** The names from the root to where a path leads, links on the way resolved. @throws as `list` */
  async pathOf(names: Names): Promise<Names> {
    if (names.length === 0) return [];
    return this.#at(names, false, async ({ folder, name }) => {
      const [root, path] = await Promise.all(
        [this.#root, folder].map((one) => readlink(fdPath(one))),
      );
      const way = relative(root ?? "", path ?? "").split("/");
      return [...way.filter((part) => part !== ""), name];
    });
  }

  /** Writes a new file; what had its name before is replaced, also a folder with all in it. */
  async writeFile(names: Names, { content, ...facts }: NewFile): Promise<void> {
    await this.#replacing(names, (path) => writeNew(path, content, facts));
  }

  /** Makes a symbolic link with any target: it is a text that nothing here follows. */
  async makeSymlink(names: Names, target: string, owner?: Owner): Promise<void> {
    const isText = target !== "" && !target.includes("\0");
    if (!isText || Buffer.byteLength(target) > LINK_BYTES_MAX) {
      throw refusal(names, "is a link whose target no link can have");
    }
    await this.#replacing(names, async (path) => {
      await symlink(target, path);
      if (owner !== undefined) await lchown(path, owner.uid, owner.gid);
    });
  }

  /** Makes another name for a file of this tree. Links to folders and devices are refused. */
  async makeHardLink(names: Names, existing: Names): Promise<void> {
    if (names.join("/") === existing.join("/")) throw refusal(names, "is a link to itself");
    await this.#at(existing, false, async (source) => {
      const stats = await lstat(pathOf(source));
      if (!stats.isFile() && !stats.isSymbolicLink()) {
        throw refusal(names, `links to ${existing.join("/")}, which is no file`);
      }
      await this.#replacing(names, (path) => link(pathOf(source), path));
    });
  }

  /** Removes what has this name, with all in it; false when there is nothing. */
  async remove(names: Names): Promise<boolean> {
    try {
      return await this.#at(names, false, (place) => this.#removeAt(place));
    } catch (error) {
      if (systemCodeOf(error) === "ENOENT") return false;
      throw error;
    }
  }

  /** The names in a folder, in no order. @throws what the system says, ENOENT for instance */
  async list(names: Names): Promise<readonly string[]> {
    return this.#inFolder(names, false, (folder) => readdir(fdPath(folder)));
  }

  /** What is in a folder, in no order; what goes meanwhile is left out. @throws as `list` */
  async look(names: Names): Promise<readonly SeenEntry[]> {
    return this.#inFolder(names, false, async (folder) => {
      const found = await readdir(fdPath(folder), { encoding: "buffer" });
      const seen = await Promise.all(found.map((name) => lookAt(folder, name)));
      return seen.filter((entry) => entry !== undefined);
    });
  }

  /** What has this name; undefined when nothing has. Links are not followed. */
  async seen(names: Names): Promise<BigIntStats | undefined> {
    try {
      return await this.#at(names, false, (place) => lstat(pathOf(place), { bigint: true }));
    } catch (error) {
      if (systemCodeOf(error) === "ENOENT") return undefined;
      throw error;
    }
  }

  /** Opens a file to be read, and closed by the caller. Devices, pipes and links are refused. */
  async openFile(names: Names): Promise<FileHandle> {
    return this.#at(names, false, async (place) => {
      const file = await open(pathOf(place), READ_FLAGS).catch((error: unknown) => {
        throw systemCodeOf(error) === "ELOOP" ? refusal(names, "is a link") : error;
      });
      if ((await file.stat()).isFile()) return file;
      await file.close();
      throw refusal(names, "is no file");
    });
  }

  /**
   * Writes a file that takes the place of what had its name at once: who reads it has the old
   * one or the new one. A folder is removed first.
   */
  async replaceFile(names: Names, { content, ...facts }: NewFile): Promise<void> {
    await this.#at(names, true, async (place) => {
      const stats = await statsOf(place);
      if (stats?.isDirectory() === true) await this.#removeAt(place);
      const temporary = pathOf({ folder: place.folder, name: `.flotilla-${randomUUID()}` });
      try {
        await writeNew(temporary, content, facts);
        await rename(temporary, pathOf(place));
      } catch (error) {
        await unlink(temporary).catch(() => undefined);
        throw error;
      }
    });
  }

  /** Removes a folder if nothing is in it; whether it has gone. */
  async removeEmptyFolder(names: Names): Promise<boolean> {
    try {
      await this.#at(names, false, async (place) => {
        await this.#forget();
        await rmdir(pathOf(place));
      });
      return true;
    } catch (error) {
      const code = systemCodeOf(error) ?? "";
      if (["ENOTEMPTY", "EEXIST", "ENOENT", "ENOTDIR"].includes(code)) return code === "ENOENT";
      throw error;
    }
  }

  /** The bytes of a file. Devices, pipes and links are refused, and what is too large. */
  async readFile(names: Names, bytesMax: number): Promise<Uint8Array> {
    const file = await this.openFile(names);
    try {
      const { size } = await file.stat();
      if (size > bytesMax) throw refusal(names, `has more than ${bytesMax} bytes`);
      return await file.readFile();
    } finally {
      await file.close();
    }
  }

  /** Makes room for a new thing and lets it be made. */
  async #replacing(names: Names, make: (path: string) => Promise<void>): Promise<void> {
    await this.#at(names, true, async (place) => {
      const removed = await this.#removeAt(place);
      if (!removed) await this.#checkLookalike(names, place);
      await make(pathOf(place));
    });
  }

  async #removeAt(place: Place): Promise<boolean> {
    const stats = await statsOf(place);
    if (stats === undefined) return false;
    this.#folded.clear();
    // A path through it leads elsewhere from now on.
    if (!stats.isFile()) await this.#forget();
    if (!stats.isDirectory()) {
      await unlink(pathOf(place));
      return true;
    }
    const folder = await open(pathOf(place), FOLDER_FLAGS);
    try {
      for (const name of await readdir(fdPath(folder))) await this.#removeAt({ folder, name });
    } finally {
      await folder.close();
    }
    await rmdir(pathOf(place));
    return true;
  }

  /** Calls with the folder that holds the last of `names`, and that name. */
  async #at<Result>(
    names: Names,
    create: boolean,
    act: (place: Place) => Promise<Result>,
  ): Promise<Result> {
    const name = names.at(-1);
    if (name === undefined) throw refusal(names, "is the root itself");
    return this.#inFolder(names.slice(0, -1), create, (folder) => act({ folder, name }));
  }

  async #inFolder<Result>(
    names: Names,
    create: boolean,
    act: (folder: FileHandle) => Promise<Result>,
  ): Promise<Result> {
    if (names.length === 0) return act(this.#root);
    const folder = await this.#folderOf(names, create);
    folder.users += 1;
    try {
      return await act(folder.handle);
    } finally {
      folder.users -= 1;
      if (folder !== this.#last && folder.users === 0) await folder.handle.close();
    }
  }

  async #folderOf(names: Names, create: boolean): Promise<OpenFolder> {
    const key = names.join("/");
    if (this.#last?.key === key) return this.#last;
    const way: FileHandle[] = [];
    try {
      await this.#walk(names, create, way);
    } catch (error) {
      await closeAll(way);
      throw error;
    }
    // Links may have led back to the root.
    const handle = way.pop() ?? (await open(fdPath(this.#root), FOLDER_OF_FD_FLAGS));
    await closeAll(way);
    await this.#forget();
    return (this.#last = { key, handle, users: 0 });
  }

  /** Keeps no folder open but those in use. */
  async #forget(): Promise<void> {
    const last = this.#last;
    this.#last = undefined;
    if (last?.users === 0) await last.handle.close();
  }

  /** Opens folder after folder; those from the root to the one asked for are in `way`. */
  async #walk(names: Names, create: boolean, way: FileHandle[]): Promise<void> {
    let ahead = [...names];
    let links = 0;
    let steps = 0;
    for (let name = ahead.shift(); name !== undefined; name = ahead.shift()) {
      steps += 1;
      const isEndless = links > LINKS_MAX || steps > STEPS_MAX || way.length > WAY_MAX;
      if (isEndless) throw refusal(names, "leads through too many links or folders");
      if (name === "..") {
        await way.pop()?.close();
        continue;
      }
      const step = await this.#step({ folder: way.at(-1) ?? this.#root, name }, names, create);
      if (typeof step === "string") {
        links += 1;
        if (step.startsWith("/")) await closeAll(way.splice(0));
        ahead = [...step.split("/").filter((part) => part !== "" && part !== "."), ...ahead];
      } else {
        way.push(step);
      }
    }
  }

  /** The folder of one name, or the target when the name is a link that may be followed. */
  async #step(place: Place, names: Names, create: boolean): Promise<FileHandle | string> {
    try {
      return await open(pathOf(place), FOLDER_FLAGS);
    } catch (error) {
      const code = systemCodeOf(error);
      if (code === "ENOENT" && create) {
        await this.#checkLookalike(names, place);
        await mkdir(pathOf(place), FOLDER_MODE);
        return open(pathOf(place), FOLDER_FLAGS);
      }
      if (code !== "ENOTDIR" && code !== "ELOOP") throw error;
      return this.#linkAt(place, names);
    }
  }

  async #linkAt(place: Place, names: Names): Promise<string> {
    const target = await readlink(pathOf(place)).catch(() => undefined);
    if (target === undefined) throw refusal(names, `leads through ${place.name}, no folder`);
    if (this.#options.linksOnTheWay === "resolve") return target;
    throw refusal(names, `leads through ${place.name}, a link`);
  }

  async #checkLookalike(names: Names, { folder, name }: Place): Promise<void> {
    if (this.#options.lookalikes !== "refuse") return;
    const { dev, ino } = await folder.stat();
    const key = `${dev}:${ino}`;
    const known = this.#folded.get(key) ?? new Map<string, string>();
    if (!this.#folded.has(key)) {
      for (const other of await readdir(fdPath(folder))) known.set(foldedName(other), other);
      this.#folded.set(key, known);
    }
    const other = known.get(foldedName(name));
    if (other !== undefined && other !== name) {
      throw refusal(names, `looks like ${other}, which is there already`);
    }
    known.set(foldedName(name), name);
  }
}

/** Writes a file that is not there yet. */
async function writeNew(
  path: string,
  content: NewFile["content"],
  facts: Omit<NewFile, "content">,
): Promise<void> {
  const file = await open(path, NEW_FILE_FLAGS, 0o600);
  try {
    for await (const chunk of content) await writeAll(file, chunk);
    await finish(file, facts);
  } finally {
    await file.close();
  }
}

/** Gives an open thing its owner, mode and time. */
async function finish(
  handle: FileHandle,
  { mode, owner, modifiedAtS }: Omit<NewFile, "content" | "owner"> & { owner?: Owner | undefined },
): Promise<void> {
  if (owner !== undefined) await handle.chown(owner.uid, owner.gid);
  // After the owner: changing that clears set-user-id.
  await handle.chmod(mode & MODE_BITS);
  if (modifiedAtS !== undefined) await handle.utimes(modifiedAtS, modifiedAtS);
}

async function closeAll(handles: readonly FileHandle[]): Promise<void> {
  for (const handle of handles) await handle.close();
}

async function statsOf(place: Place): Promise<Stats | undefined> {
  try {
    return await lstat(pathOf(place));
  } catch (error) {
    if (systemCodeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

function pathOf({ folder, name }: Place): string {
  checkName(name);
  assert(name !== "..", "the last name of a path is one of an entry");
  return `${fdPath(folder)}/${name}`;
}

function checkName(name: string): void {
  const isName = name !== "" && name !== "." && !name.includes("/") && !name.includes("\0");
  assert(isName, `"${name}" is no single name; paths go through entryPathOf`);
}

async function writeAll(file: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let offset = 0; offset < chunk.byteLength;) {
    const { bytesWritten } = await file.write(chunk, offset);
    offset += bytesWritten;
  }
}

function refusal(names: Names, reason: string): PlatformError {
  return new PlatformError(`the path ${JSON.stringify(names.join("/"))} ${reason}`, {
    code: "invalid_request",
    retryable: false,
  });
}
