/**
 * The extended attributes of a layer's files and folders, kept beside its tree: they need neither
 * a disk that has room for them (ext4 has 4 KiB a file) nor programs that set them.
 *
 * Those of programs (`user.*`) are kept, and no others; docs/isolation.md says why. They are of
 * files and folders alone, because Linux gives such attributes of nothing else.
 */
import { lstatSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { PlatformError, systemCodeOf } from "../../../core/index.ts";
import { isGivenXattr, type Xattr } from "../../store/index.ts";
import { wrongImage } from "../oci/image-error.ts";

/** Name of the file beside a layer's tree. */
export const XATTRS_FILE = "xattrs.json";

/** Most that Linux takes of one file (limits.h: XATTR_NAME_MAX, XATTR_SIZE_MAX, XATTR_LIST_MAX). */
const NAME_BYTES_MAX = 255;
const VALUE_BYTES_MAX = 65_536;
const LIST_BYTES_MAX = 65_536;
/** An index is read whole before its image is mounted. */
const LAYER_BYTES_MAX = 16 * 1_024 * 1_024;

type Names = readonly string[];

interface PathNode {
  xattrs: readonly Xattr[];
  readonly below: Map<string, PathNode>;
}

/** As it is written: path, then name and value in base64 of each. */
type Written = readonly (readonly [string, readonly (readonly [string, string])[]])[];

/** The attributes by path; a path is the names from the root, with no link on the way. */
export class LayerXattrs {
  readonly #root: PathNode = { xattrs: [], below: new Map() };
  #byteCount = 0;

  /** Those in a file that `write` made; none when there is no file. */
  static read(file: string): LayerXattrs {
    const all = new LayerXattrs();
    const text = textOf(file);
    if (text === undefined) return all;
    for (const [path, xattrs] of JSON.parse(text) as Written) {
      const names = path === "" ? [] : path.split("/");
      all.set(
        names,
        xattrs.map(([name, value]) => ({ name, value: Buffer.from(value, "base64") })),
      );
    }
    return all;
  }

  /** Whether there was never any. */
  get isEmpty(): boolean {
    return this.#byteCount === 0;
  }

  of(names: Names): readonly Xattr[] {
    return this.#find(names)?.xattrs ?? [];
  }

  /**
   * Gives a file or folder exactly these; what is below a folder keeps its own.
   *
   * @throws PlatformError `invalid_request` for what no file can have, `payload_too_large` when
   *   all that were ever set are too much for one layer
   */
  set(names: Names, xattrs: readonly Xattr[]): void {
    const known = this.#find(names);
    if (xattrs.length === 0) {
      if (known !== undefined) known.xattrs = [];
      return;
    }
    this.#byteCount += bytesOf(names, xattrs);
    if (this.#byteCount > LAYER_BYTES_MAX) {
      const message = `the extended attributes of a layer have more than ${LAYER_BYTES_MAX} bytes`;
      throw new PlatformError(message, { code: "payload_too_large", retryable: false });
    }
    let node = this.#root;
    for (const name of names) {
      const next = node.below.get(name) ?? { xattrs: [], below: new Map<string, PathNode>() };
      node.below.set(name, next);
      node = next;
    }
    node.xattrs = xattrs;
  }

  /** What was there is gone, with all below it. */
  remove(names: Names): void {
    const last = names.at(-1);
    if (last !== undefined) this.#find(names.slice(0, -1))?.below.delete(last);
  }

  /** All by path, `.` for the root and else names with slashes between, in latin1. */
  all(): ReadonlyMap<string, readonly Xattr[]> {
    const found = new Map<string, readonly Xattr[]>();
    for (const [path, xattrs] of this.#entries()) {
      found.set(path === "" ? "." : Buffer.from(path).toString("latin1"), xattrs);
    }
    return found;
  }

  async write(file: string): Promise<void> {
    const written: Written = [...this.#entries()].map(([path, xattrs]) => [
      path,
      xattrs.map(({ name, value }) => [name, Buffer.from(value).toString("base64")] as const),
    ]);
    if (written.length > 0) await writeFile(file, JSON.stringify(written));
  }

  *#entries(): Generator<readonly [string, readonly Xattr[]]> {
    const left: (readonly [string, PathNode])[] = [["", this.#root]];
    for (let next = left.pop(); next !== undefined; next = left.pop()) {
      const [path, { xattrs, below }] = next;
      if (xattrs.length > 0) yield [path, xattrs];
      for (const [name, node] of below) left.push([path === "" ? name : `${path}/${name}`, node]);
    }
  }

  #find(names: Names): PathNode | undefined {
    let node: PathNode | undefined = this.#root;
    for (const name of names) node = node?.below.get(name);
    return node;
  }
}

/** The attributes of layers that lie over each other. */
export class LowerXattrs {
  readonly #layers: readonly { readonly tree: string; readonly xattrs: LayerXattrs }[];

  private constructor(layers: readonly { readonly tree: string; readonly xattrs: LayerXattrs }[]) {
    this.#layers = layers;
  }

  /** @param trees Folders of layers relative to `layersDir`, the topmost first. */
  static of(layersDir: string, trees: readonly string[]): LowerXattrs {
    const layers = trees.map((path) => {
      const tree = join(layersDir, path);
      return { tree, xattrs: LayerXattrs.read(join(dirname(tree), XATTRS_FILE)) };
    });
    return new LowerXattrs(layers.every(({ xattrs }) => xattrs.isEmpty) ? [] : layers);
  }

  /** Whether no layer has any. */
  get isEmpty(): boolean {
    return this.#layers.length === 0;
  }

  /** Those of a file that is seen: of the topmost layer that has it. */
  ofFile(names: Names): readonly Xattr[] {
    const has = ({ tree }: { readonly tree: string }): boolean =>
      lstatSync(join(tree, ...names), { throwIfNoEntry: false })?.isFile() === true;
    return this.#layers.find(has)?.xattrs.of(names) ?? [];
  }

  /** Those of a folder: it is in an upper layer because of what is in it there. */
  ofFolder(names: Names): readonly Xattr[] {
    const own = this.#layers.map(({ xattrs }) => xattrs.of(names));
    return own.find((xattrs) => xattrs.length > 0) ?? [];
  }
}

/**
 * Those of an entry that are kept.
 *
 * @throws PlatformError `invalid_request` when one is longer than Linux takes, or all are
 */
export function keptXattrs(path: string, xattrs: readonly Xattr[]): readonly Xattr[] {
  const kept = xattrs.filter(({ name }) => isGivenXattr(name));
  let listBytes = 0;
  for (const { name, value } of kept) {
    const nameBytes = Buffer.byteLength(name);
    listBytes += nameBytes + 1;
    const isLong = nameBytes > NAME_BYTES_MAX || value.byteLength > VALUE_BYTES_MAX;
    if (!isLong && listBytes <= LIST_BYTES_MAX) continue;
    const which = `the extended attribute ${JSON.stringify(name.slice(0, 40))} of ${path}`;
    throw wrongImage(
      `${which} is more than Linux takes (name ${nameBytes} bytes, value ${value.byteLength})`,
    );
  }
  return kept;
}

function bytesOf(names: Names, xattrs: readonly Xattr[]): number {
  const path = names.reduce((sum, name) => sum + Buffer.byteLength(name) + 1, 0);
  return xattrs.reduce(
    (sum, { name, value }) => sum + Buffer.byteLength(name) + value.byteLength,
    path,
  );
}

function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if (systemCodeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}
