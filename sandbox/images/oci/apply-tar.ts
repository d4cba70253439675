/**
 * Unpacks tar archives of any author into a folder that nobody else writes to.
 *
 * Guarantees, held by tests: nothing outside the folder is made, changed, removed or linked to,
 * whatever the archive says. Names with `..` are refused; symbolic links of earlier entries are
 * followed as the container would, within the folder, and never at the last part of a name.
 * Whiteouts of OCI layers remove what earlier layers have. Devices and pipes are left out:
 * containers get theirs from gVisor. Source: OCI image specification 1.1, "Image Layer Filesystem
 * Changeset".
 */
import { constants } from "node:fs";
import {
  lchown,
  chmod,
  link,
  lstat,
  mkdir,
  open,
  readdir,
  readlink,
  rm,
  symlink,
  utimes,
} from "node:fs/promises";
import { join } from "node:path";
import { wrongImage } from "./image-error.ts";
import { readTar, type TarEntry } from "./tar-reader.ts";

export interface TarLimits {
  /** Bytes of all files. */
  readonly byteCountMax: number;
  readonly entryCountMax: number;
}

export interface ApplyOptions {
  readonly limits?: TarLimits;
  /** Folder of the root that the archive's names are below. */
  readonly prefix?: string;
}

export interface AppliedTar {
  readonly byteCount: number;
  readonly entryCount: number;
  /** Devices and pipes that were left out. */
  readonly skippedCount: number;
}

export const IMAGE_LIMITS: TarLimits = {
  byteCountMax: 64 * 1024 ** 3,
  entryCountMax: 4_000_000,
};

const WHITEOUT = ".wh.";
const OPAQUE = ".wh..wh..opq";
const LINKS_FOLLOWED_MAX = 40;
const DEPTH_MAX = 256;
const NAME_BYTES_MAX = 255;

/** Applies an archive to `root`. @throws PlatformError `invalid_request` on whatever is unsafe */
export async function applyTar(
  chunks: AsyncIterable<Uint8Array>,
  root: string,
  options: ApplyOptions = {},
): Promise<AppliedTar> {
  const { limits = IMAGE_LIMITS, prefix = "" } = options;
  const layer = new LayerWriter(root, limits, prefix);
  for await (const entry of readTar(chunks)) await layer.add(entry);
  await layer.end();
  return layer.applied;
}

/** Makes a folder of an image, links followed as inside it. @throws PlatformError */
export async function makeFolder(path: string, root: string): Promise<void> {
  await new LayerWriter(root, IMAGE_LIMITS, path).makePrefix();
}

class LayerWriter {
  readonly #root: string;
  readonly #limits: TarLimits;
  readonly #prefix: readonly string[];
  /** What this archive made, so that its opaque marks spare it. */
  readonly #made = new Set<string>();
  /** Times of folders, set when nothing changes them any more. */
  readonly #folderTimes = new Map<string, number>();
  #byteCount = 0;
  #entryCount = 0;
  #skippedCount = 0;

  constructor(root: string, limits: TarLimits, prefix: string) {
    this.#prefix = partsOf(prefix);
    this.#root = root;
    this.#limits = limits;
  }

  get applied(): AppliedTar {
    const [byteCount, entryCount] = [this.#byteCount, this.#entryCount];
    return { byteCount, entryCount, skippedCount: this.#skippedCount };
  }

  async makePrefix(): Promise<void> {
    await this.#folderAt(this.#prefix, this.#prefix.join("/"));
  }

  async add(entry: TarEntry): Promise<void> {
    this.#entryCount += 1;
    this.#byteCount += entry.byteCount;
    if (this.#entryCount > this.#limits.entryCountMax) throw wrongImage("it has too many files");
    if (this.#byteCount > this.#limits.byteCountMax) {
      throw wrongImage(`its files have more than ${this.#limits.byteCountMax} bytes`);
    }
    const named = partsOf(entry.name);
    if (named.length === 0) return this.#takeRoot(entry);
    const parts = [...this.#prefix, ...named];
    const last = parts.at(-1) ?? "";
    const parent = await this.#folderAt(parts.slice(0, -1), entry.name);
    if (last === OPAQUE) return this.#empty(parent);
    if (last.startsWith(WHITEOUT)) return this.#whiteOut(parent, last, entry.name);
    if (entry.type === "character" || entry.type === "block" || entry.type === "fifo") {
      this.#skippedCount += 1;
      return;
    }
    const path = join(parent, last);
    await this.#write(entry, path);
    this.#made.add(path);
  }

  /** The archive's own root: made, and with its mode where it is the image's, too. */
  async #takeRoot(entry: TarEntry): Promise<void> {
    const root = await this.#folderAt(this.#prefix, entry.name);
    const isWhole = this.#prefix.length === 0 && entry.type === "directory";
    if (isWhole) await this.#finish(root, entry);
  }

  async end(): Promise<void> {
    for (const [path, atS] of this.#folderTimes) {
      // A later entry may have replaced it.
      const stat = await lstatOf(path);
      if (stat?.isDirectory() === true) await utimes(path, atS, atS);
    }
  }

  async #write(entry: TarEntry, path: string): Promise<void> {
    const before = await lstatOf(path);
    const isFolder = entry.type === "directory";
    if (before !== undefined && !(isFolder && before.isDirectory())) {
      await rm(path, { recursive: true, force: true });
    }
    switch (entry.type) {
      case "directory":
        if (before?.isDirectory() !== true) await mkdir(path);
        return this.#finish(path, entry);
      case "symlink":
        if (entry.linkName === "") throw wrongImage(`the link ${entry.name} leads nowhere`);
        await symlink(entry.linkName, path);
        return lchown(path, entry.uid, entry.gid);
      case "hardlink":
        return this.#link(entry, path);
      default:
        return this.#file(entry, path);
    }
  }

  async #file(entry: TarEntry, path: string): Promise<void> {
    const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
    const file = await open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
    try {
      for await (const chunk of entry.data()) await file.writeFile(chunk);
    } finally {
      await file.close();
    }
    await this.#finish(path, entry);
  }

  async #link(entry: TarEntry, path: string): Promise<void> {
    const parts = [...this.#prefix, ...partsOf(entry.linkName)];
    const last = parts.at(-1);
    const where = `the hard link ${entry.name} to ${entry.linkName}`;
    if (last === undefined) throw wrongImage(`${where} leads to the root`);
    const target = join(await this.#folderAt(parts.slice(0, -1), entry.linkName), last);
    const stat = await lstatOf(target);
    if (stat === undefined || stat.isDirectory()) throw wrongImage(`${where} leads to no file`);
    await link(target, path);
  }

  async #finish(path: string, entry: TarEntry): Promise<void> {
    await lchown(path, entry.uid, entry.gid);
    // After the owner: changing that clears set-user-id.
    await chmod(path, entry.mode);
    if (entry.type === "directory") this.#folderTimes.set(path, entry.modifiedAtS);
    else await utimes(path, entry.modifiedAtS, entry.modifiedAtS);
  }

  /** Removes what earlier layers put into a folder. */
  async #empty(folder: string): Promise<void> {
    for (const name of await readdir(folder)) {
      const path = join(folder, name);
      if (!this.#made.has(path)) await rm(path, { recursive: true, force: true });
    }
  }

  async #whiteOut(parent: string, last: string, name: string): Promise<void> {
    const hidden = last.slice(WHITEOUT.length);
    if (hidden === "" || hidden === "." || hidden === "..") {
      throw wrongImage(`the layer removes "${name}", which is no name`);
    }
    await rm(join(parent, hidden), { recursive: true, force: true });
  }

  /**
   * The real path of a folder by its name in the image; missing folders are made. Links are
   * followed as inside the container: absolute ones from the root, and none leads above it.
   */
  async #folderAt(parts: readonly string[], name: string): Promise<string> {
    let waiting = [...parts];
    let done: string[] = [];
    for (let followed = 0; waiting.length > 0;) {
      const [part = "", ...rest] = waiting;
      waiting = rest;
      if (part === "..") {
        done = done.slice(0, -1);
        continue;
      }
      const path = join(this.#root, ...done, part);
      const stat = await lstatOf(path);
      if (stat === undefined) {
        await mkdir(path, { mode: 0o755 });
      } else if (stat.isSymbolicLink()) {
        followed += 1;
        if (followed > LINKS_FOLLOWED_MAX) throw wrongImage(`${name} leads in circles`);
        const target = await readlink(path);
        if (target.startsWith("/")) done = [];
        waiting = [...target.split("/").filter((each) => each !== "" && each !== "."), ...waiting];
        continue;
      } else if (!stat.isDirectory()) {
        throw wrongImage(`${name} is below ${[...done, part].join("/")}, which is a file`);
      }
      done = [...done, part];
      if (done.length > DEPTH_MAX) throw wrongImage(`${name.slice(0, 80)} is too deep`);
    }
    return join(this.#root, ...done);
  }
}

/** The parts of a name, without leading slashes. @throws PlatformError for names that are unsafe */
function partsOf(name: string): readonly string[] {
  const parts = name.split("/").filter((part) => part !== "" && part !== ".");
  if (name.includes("\0") || parts.includes("..")) {
    throw wrongImage(`the archive has a name that leads out of the image: ${shown(name)}`);
  }
  if (parts.length > DEPTH_MAX) throw wrongImage(`${shown(name)} is too deep`);
  if (parts.some((part) => Buffer.byteLength(part) > NAME_BYTES_MAX)) {
    throw wrongImage(`${shown(name)} is too long a name`);
  }
  return parts;
}

function shown(name: string): string {
  return JSON.stringify(name).slice(0, 120);
}

async function lstatOf(path: string) {
  try {
    return await lstat(path);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}
