/** What a container's folder had when it was last in step with its volume; grows with commits. */
import { folderOf, type TreeEntry, type VolumeTree } from "./volume-tree.ts";

const NONE: ReadonlySet<string> = new Set();

export class KnownTree {
  readonly #entries: Map<string, TreeEntry>;
  /** Names in each folder. */
  readonly #children = new Map<string, Set<string>>();

  constructor(tree: VolumeTree) {
    this.#entries = new Map(tree);
    for (const path of tree.keys()) this.#link(path);
  }

  get tree(): VolumeTree {
    return this.#entries;
  }

  get(path: string): TreeEntry | undefined {
    return this.#entries.get(path);
  }

  /** The names in a folder. */
  namesIn(folder: string): ReadonlySet<string> {
    return this.#children.get(folder) ?? NONE;
  }

  /** A path and all below it, the deepest first. */
  below(path: string): readonly string[] {
    const inside = [...this.namesIn(path)].flatMap((name) => this.below(`${path}/${name}`));
    return [...inside, path];
  }

  set(path: string, entry: TreeEntry): void {
    if (!this.#entries.has(path)) this.#link(path);
    this.#entries.set(path, entry);
  }

  delete(path: string): void {
    if (!this.#entries.delete(path)) return;
    this.#children.get(folderOf(path))?.delete(nameOf(path));
  }

  #link(path: string): void {
    const folder = folderOf(path);
    const names = this.#children.get(folder) ?? new Set();
    this.#children.set(folder, names.add(nameOf(path)));
  }
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
