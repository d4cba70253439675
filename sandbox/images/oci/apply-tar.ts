/**
 * Unpacks tar archives of any author into the root of an image, as the layers of OCI images mean
 * them.
 *
 * Nothing outside the root is made, changed, removed or linked to, whatever the archive says
 * (`sandbox/archive`). Symbolic links of earlier entries are followed as the container would, and
 * never at the last part of a name. Whiteouts remove what earlier layers have. Devices and pipes
 * are left out: containers get theirs from gVisor. Source: OCI image specification 1.1, "Image
 * Layer Filesystem Changeset".
 */
import { systemCodeOf } from "../../../core/index.ts";
import { ArchiveBudget, type ArchiveLimits } from "../../archive/archive-budget.ts";
import { ConfinedTree, type Owner } from "../../archive/confined-tree.ts";
import { entryPathOf } from "../../archive/entry-path.ts";
import { makeFolders, ownerIn } from "../build/image-owner.ts";
import { keptXattrs, LayerXattrs } from "../build/layer-xattrs.ts";
import { wrongImage } from "./image-error.ts";
import { readTar, type TarEntry } from "./tar-reader.ts";

export interface ApplyOptions {
  readonly limits?: Partial<ArchiveLimits>;
  /** Folder of the root that the archive's names are below. */
  readonly prefix?: string;
  /** Whose all of it is, as `user` or `user:group` of the image; absent: as the archive says. */
  readonly owner?: string;
  /** Permission bits of all of it; absent: as the archive says. */
  readonly mode?: number;
  /** Where extended attributes are noted; what earlier archives noted there is of the root. */
  readonly xattrs?: LayerXattrs;
}

export interface AppliedTar {
  readonly byteCount: number;
  readonly entryCount: number;
  /** Devices and pipes that were left out. */
  readonly skippedCount: number;
  /** Extended attributes that are not kept. */
  readonly leftOutXattrCount: number;
}

const IMAGE_LIMITS: Partial<ArchiveLimits> = {
  totalBytesMax: 64 * 1024 ** 3,
  entriesMax: 4_000_000,
};

const WHITEOUT = ".wh.";
const OPAQUE = ".wh..wh..opq";

type Names = readonly string[];

/**
 * Applies an archive to `root`.
 *
 * @throws PlatformError `invalid_request` on whatever is unsafe, `payload_too_large` beyond limits
 */
export async function applyTar(
  chunks: AsyncIterable<Uint8Array>,
  root: string,
  options: ApplyOptions = {},
): Promise<AppliedTar> {
  const { limits = IMAGE_LIMITS, prefix = ".", owner: name, mode } = options;
  const { xattrs = new LayerXattrs() } = options;
  return inTree(root, async (tree) => {
    const owner = name === undefined ? undefined : await ownerIn(tree, name);
    const below = namesOf(prefix);
    if (owner !== undefined) await makeFolders(tree, below, owner);
    const layer = new LayerWriter(tree, new ArchiveBudget(limits), { below, owner, mode, xattrs });
    for await (const entry of readTar(chunks)) await layer.add(entry);
    await layer.end();
    return layer.applied;
  });
}

/** Makes a folder of an image, links followed as inside it. @throws PlatformError */
export async function makeFolder(path: string, root: string): Promise<void> {
  await inTree(root, (tree) => tree.ensureFolder(namesOf(path)));
}

async function inTree<Result>(
  root: string,
  work: (tree: ConfinedTree) => Promise<Result>,
): Promise<Result> {
  const tree = await ConfinedTree.open(root, { linksOnTheWay: "resolve" });
  try {
    return await work(tree);
  } finally {
    await tree.close();
  }
}

/** Where an archive goes, and what is not taken from it. */
interface LayerPlace {
  readonly below: Names;
  readonly owner: Owner | undefined;
  readonly mode: number | undefined;
  readonly xattrs: LayerXattrs;
}

class LayerWriter {
  readonly #tree: ConfinedTree;
  readonly #budget: ArchiveBudget;
  readonly #prefix: Names;
  readonly #rights: Pick<LayerPlace, "owner" | "mode">;
  readonly #xattrs: LayerXattrs;
  /** What this archive made, so that its opaque marks spare it. */
  readonly #made = new Set<string>();
  /** Times of folders by path, set when nothing changes them any more. */
  readonly #folderTimes = new Map<string, { readonly names: Names; readonly atS: number }>();
  #byteCount = 0;
  #entryCount = 0;
  #skippedCount = 0;
  #leftOutXattrCount = 0;

  constructor(tree: ConfinedTree, budget: ArchiveBudget, { below, xattrs, ...rights }: LayerPlace) {
    this.#tree = tree;
    this.#budget = budget;
    this.#prefix = below;
    this.#rights = rights;
    this.#xattrs = xattrs;
  }

  get applied(): AppliedTar {
    const [byteCount, entryCount] = [this.#byteCount, this.#entryCount];
    const [skippedCount, leftOutXattrCount] = [this.#skippedCount, this.#leftOutXattrCount];
    return { byteCount, entryCount, skippedCount, leftOutXattrCount };
  }

  async add(entry: TarEntry): Promise<void> {
    this.#entryCount += 1;
    this.#byteCount += entry.byteCount;
    this.#budget.addEntry();
    const named = namesOf(entry.name);
    if (named.length === 0) return this.#takeRoot(entry);
    const names = [...this.#prefix, ...named];
    const last = names.at(-1) ?? "";
    if (last === OPAQUE) return this.#empty(names.slice(0, -1));
    if (last.startsWith(WHITEOUT)) return this.#whiteOut(names, last);
    if (entry.type === "character" || entry.type === "block" || entry.type === "fifo") {
      this.#skippedCount += 1;
      return;
    }
    await this.#write(entry, names);
    await this.#noteXattrs(entry, names);
    this.#made.add(await this.#tree.placeOf(names));
  }

  async end(): Promise<void> {
    for (const { names, atS } of this.#folderTimes.values()) {
      await this.#tree.setFolderTime(names, atS);
    }
  }

  /** The archive's own root: made, and with its mode where it is the image's, too. */
  async #takeRoot(entry: TarEntry): Promise<void> {
    const isWhole = this.#prefix.length === 0 && entry.type === "directory";
    if (isWhole) {
      await this.#folder(entry, []);
      await this.#noteXattrs(entry, []);
    } else await this.#tree.ensureFolder(this.#prefix);
  }

  async #write(entry: TarEntry, names: Names): Promise<void> {
    const { linkName, modifiedAtS } = entry;
    const { owner, mode } = this.#rightsOf(entry);
    switch (entry.type) {
      case "directory":
        return this.#folder(entry, names);
      case "symlink":
        return this.#tree.makeSymlink(names, linkName, owner);
      case "hardlink":
        return this.#link(entry, names);
      default: {
        const content = this.#counted(entry);
        return this.#tree.writeFile(names, { mode, owner, modifiedAtS, content });
      }
    }
  }

  async #folder(entry: TarEntry, names: Names): Promise<void> {
    const { owner, mode } = this.#rightsOf(entry);
    await this.#tree.makeFolder(names, mode, owner);
    this.#folderTimes.set(names.join("/"), { names, atS: entry.modifiedAtS });
  }

  #rightsOf({ uid, gid, mode }: TarEntry): { readonly owner: Owner; readonly mode: number } {
    const { owner = { uid, gid }, mode: asked = mode } = this.#rights;
    return { owner, mode: asked };
  }

  async #link(entry: TarEntry, names: Names): Promise<void> {
    try {
      await this.#tree.makeHardLink(names, [...this.#prefix, ...namesOf(entry.linkName)]);
    } catch (cause) {
      if (systemCodeOf(cause) !== "ENOENT") throw cause;
      const where = `the hard link ${entry.name} to ${entry.linkName}`;
      throw wrongImage(`${where} leads to no file`, { cause });
    }
  }

  async *#counted(entry: TarEntry): AsyncGenerator<Uint8Array> {
    let fileBytes = 0;
    for await (const chunk of entry.data()) {
      fileBytes += chunk.byteLength;
      this.#budget.addBytes(chunk.byteLength, fileBytes);
      yield chunk;
    }
  }

  /** An entry has exactly the attributes that it says, and another name of a file all of its. */
  async #noteXattrs({ name, type, xattrs, linkName }: TarEntry, names: Names): Promise<void> {
    const canHave = type === "file" || type === "directory";
    const kept = canHave ? keptXattrs(name, xattrs) : [];
    this.#leftOutXattrCount += xattrs.length - kept.length;
    if (this.#xattrs.isEmpty && kept.length === 0) return;
    const path = await this.#tree.pathOf(names);
    if (type !== "directory") this.#xattrs.remove(path);
    if (type === "hardlink") {
      const linked = await this.#tree.pathOf([...this.#prefix, ...namesOf(linkName)]);
      this.#xattrs.set(path, this.#xattrs.of(linked));
    } else {
      this.#xattrs.set(path, kept);
    }
  }

  async #remove(names: Names): Promise<void> {
    if (!this.#xattrs.isEmpty && (await this.#tree.seen(names)) !== undefined) {
      this.#xattrs.remove(await this.#tree.pathOf(names));
    }
    await this.#tree.remove(names);
  }

  /** Removes what earlier layers put into a folder. */
  async #empty(folder: Names): Promise<void> {
    await this.#tree.ensureFolder(folder);
    for (const name of await this.#tree.list(folder)) {
      const names = [...folder, name];
      if (!this.#made.has(await this.#tree.placeOf(names))) await this.#remove(names);
    }
  }

  async #whiteOut(names: Names, last: string): Promise<void> {
    const hidden = last.slice(WHITEOUT.length);
    if (hidden === "" || hidden === "." || hidden === "..") {
      throw wrongImage(`the layer removes "${names.join("/")}", which is no name`);
    }
    await this.#remove([...names.slice(0, -1), hidden]);
  }
}

/** The parts of a name, without leading slashes. @throws PlatformError for names that are unsafe */
function namesOf(path: string): Names {
  const checked = entryPathOf(path, { leadingSlash: "strip" });
  if (checked.kind === "inside") return checked.names;
  const shown = JSON.stringify(path).slice(0, 120);
  const leadsOut = path.split("/").includes("..") || path.includes("\0");
  const fault = leadsOut ? "leads out of the image" : "cannot be in an image";
  throw wrongImage(`the archive has a name that ${fault}: ${shown} ${checked.reason}`);
}
