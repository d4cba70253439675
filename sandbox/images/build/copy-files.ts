/**
 * Copies files of one image into another, as `COPY --from` of a Dockerfile means it: a folder
 * stands for what is in it, a link that is named for what it leads to, links below stay links.
 *
 * Names are resolved within their own image on both sides (`sandbox/archive`): nothing is read or
 * written outside, wherever links lead. Devices, pipes and sockets are left out. Source:
 * docs.docker.com/reference/dockerfile, "COPY" (2025-06).
 */
import type { BigIntStats } from "node:fs";
import { ConfinedTree, type Owner } from "../../archive/confined-tree.ts";
import { entryPathOf } from "../../archive/entry-path.ts";
import { wrongImage } from "../oci/image-error.ts";
import { makeFolders, ownerIn } from "./image-owner.ts";
import type { LayerXattrs, LowerXattrs } from "./layer-xattrs.ts";

export interface CopyWish {
  /** Paths of the source; `*`, `?` and `[…]` stand for parts of names. */
  readonly sources: readonly string[];
  /** Path of the target; what ends with `/`, or is a folder, is one that sources go into. */
  readonly target: string;
  readonly owner?: string;
  readonly mode?: number;
}

/** The extended attributes of what is copied, and where those of the copies are noted. */
export interface CopiedXattrs {
  readonly from: LowerXattrs;
  readonly to: LayerXattrs;
}

type Names = readonly string[];

const LINKS_MAX = 40;
const MODE_BITS = 0o7777n;
const MS_PER_SECOND = 1_000;

/** Copies between the roots of two images. @throws PlatformError `invalid_request` */
export async function copyFiles(
  from: string,
  to: string,
  wish: CopyWish & { readonly xattrs: CopiedXattrs },
): Promise<void> {
  const source = await ConfinedTree.open(from, { linksOnTheWay: "resolve" });
  try {
    const target = await ConfinedTree.open(to, { linksOnTheWay: "resolve" });
    try {
      const owner = wish.owner === undefined ? undefined : await ownerIn(target, wish.owner);
      const { mode, xattrs } = wish;
      await new Copier({ source, target, owner, mode, xattrs }).copy(wish);
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
}

interface Copying {
  readonly source: ConfinedTree;
  readonly target: ConfinedTree;
  readonly owner: Owner | undefined;
  readonly mode: number | undefined;
  readonly xattrs: CopiedXattrs;
}

class Copier {
  readonly #copying: Copying;
  /** Where files with several names went first, by their inode. */
  readonly #linked = new Map<string, Names>();
  readonly #folderTimes: { readonly names: Names; readonly atS: number }[] = [];

  constructor(copying: Copying) {
    this.#copying = copying;
  }

  async copy({ sources, target }: CopyWish): Promise<void> {
    const found: Names[] = [];
    for (const source of sources) found.push(...(await this.#found(source)));
    const names = namesOf(target);
    const isFolder =
      target.endsWith("/") ||
      found.length > 1 ||
      (await this.#copying.target.seen(names))?.isDirectory() === true;
    for (const one of found) await this.#copyNamed(one, names, isFolder);
    for (const { names: folder, atS } of this.#folderTimes) {
      await this.#copying.target.setFolderTime(folder, atS);
    }
  }

  /** What a path of the source means, links followed. @throws PlatformError when it is nothing */
  async #found(path: string): Promise<readonly Names[]> {
    let found: readonly Names[] = [[]];
    for (const part of namesOf(path)) {
      const next: Names[] = [];
      for (const folder of found) {
        const names = /[*?[]/.test(part) ? await this.#matching(folder, part) : [part];
        for (const name of names) next.push([...folder, name]);
      }
      found = next;
    }
    const there: Names[] = [];
    for (const names of found) {
      const resolved = await this.#resolved(names);
      if (resolved !== undefined) there.push(resolved);
    }
    if (there.length === 0) throw wrongImage(`there is no ${path} in what is copied from`);
    return there;
  }

  async #matching(folder: Names, pattern: string): Promise<readonly string[]> {
    const source = pattern.replaceAll(/[.+^${}()|\\]/g, "\\$&");
    const parts = source.replaceAll("*", "[^/]*").replaceAll("?", "[^/]").replaceAll("[!", "[^");
    const fits = patternOf(parts, pattern);
    const names = await this.#copying.source.list(folder).catch((): readonly string[] => []);
    return names.filter((name) => fits.test(name)).toSorted();
  }

  /** A name with the links that it is followed; undefined when there is nothing. */
  async #resolved(names: Names): Promise<Names | undefined> {
    const { source } = this.#copying;
    let now = names;
    for (let links = 0; links <= LINKS_MAX; links += 1) {
      const stats = now.length === 0 ? undefined : await source.seen(now);
      if (now.length > 0 && stats === undefined) return undefined;
      if (stats?.isSymbolicLink() !== true) return now;
      const folder = now.slice(0, -1);
      const target = (await this.#linkOf(now)) ?? "";
      now = inside(target.startsWith("/") ? [] : folder, target);
    }
    throw wrongImage(`${names.join("/")} leads through too many links`);
  }

  async #linkOf(names: Names): Promise<string | undefined> {
    const entries = await this.#copying.source.look(names.slice(0, -1));
    return entries.find(({ name }) => name === names.at(-1))?.target;
  }

  async #copyNamed(names: Names, target: Names, isFolder: boolean): Promise<void> {
    const { source, owner } = this.#copying;
    const stats = names.length === 0 ? undefined : await source.seen(names);
    if (stats === undefined || stats.isDirectory()) {
      await makeFolders(this.#copying.target, target, owner);
      return this.#copyInside(names, target);
    }
    const to = isFolder ? [...target, names.at(-1) ?? ""] : target;
    await makeFolders(this.#copying.target, to.slice(0, -1), owner);
    await this.#copyEntry({ from: names, to, stats, link: undefined });
  }

  async #copyInside(from: Names, to: Names): Promise<void> {
    for (const { name, stats, target } of await this.#copying.source.look(from)) {
      if (name === undefined) throw wrongImage(`${from.join("/")} has a name that is no UTF-8`);
      await this.#copyEntry({ from: [...from, name], to: [...to, name], stats, link: target });
    }
  }

  async #copyEntry({ from, to, stats, link }: Entry): Promise<void> {
    const { target, source, mode: asked } = this.#copying;
    const mode = asked ?? Number(stats.mode & MODE_BITS);
    const owner = this.#copying.owner ?? { uid: Number(stats.uid), gid: Number(stats.gid) };
    const modifiedAtS = Number(stats.mtimeMs) / MS_PER_SECOND;
    if (stats.isDirectory()) {
      await target.makeFolder(to, mode, owner);
      await this.#copyXattrs(from, to, "ofFolder");
      await this.#copyInside(from, to);
      this.#folderTimes.push({ names: to, atS: modifiedAtS });
    } else if (stats.isSymbolicLink()) {
      await target.makeSymlink(to, link ?? "", owner);
    } else if (stats.isFile()) {
      const inode = `${stats.dev}:${stats.ino}`;
      const first = stats.nlink > 1n ? this.#linked.get(inode) : undefined;
      if (first === undefined) {
        const file = await source.openFile(from);
        const content = file.createReadStream() as AsyncIterable<Uint8Array>;
        await target.writeFile(to, { mode, owner, modifiedAtS, content });
        this.#linked.set(inode, to);
      } else {
        await target.makeHardLink(to, first);
      }
      await this.#copyXattrs(from, to, "ofFile");
    }
  }

  async #copyXattrs(from: Names, to: Names, kind: "ofFile" | "ofFolder"): Promise<void> {
    const { source, target, xattrs } = this.#copying;
    if (xattrs.from.isEmpty) return;
    const own = xattrs.from[kind](await source.pathOf(from));
    if (own.length > 0 || !xattrs.to.isEmpty) xattrs.to.set(await target.pathOf(to), own);
  }
}

interface Entry {
  readonly from: Names;
  readonly to: Names;
  readonly stats: BigIntStats;
  readonly link: string | undefined;
}

function patternOf(source: string, pattern: string): RegExp {
  try {
    return new RegExp(`^${source}$`);
  } catch (cause) {
    throw wrongImage(`"${pattern}" is no pattern of names`, { cause });
  }
}

/** A link's target from a folder; `..` goes no higher than the root. */
function inside(folder: Names, target: string): Names {
  const names = [...folder];
  for (const part of target.split("/")) {
    if (part === "..") names.pop();
    else if (part !== "" && part !== ".") names.push(part);
  }
  return names;
}

function namesOf(path: string): Names {
  const checked = entryPathOf(path, { leadingSlash: "strip" });
  if (checked.kind === "inside") return checked.names;
  throw wrongImage(`${JSON.stringify(path).slice(0, 120)} ${checked.reason}`);
}
