/**
 * Makes one folder of layers: the view that overlayfs gives of them, its files hard links to those
 * of the layers, so that it costs names and no bytes. Runs in a mount namespace of its own.
 */
import {
  chmodSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  symlinkSync,
  utimesSync,
  type Stats,
} from "node:fs";
import { dirname, join } from "node:path";
import { LayerXattrs, XATTRS_FILE } from "./layer-xattrs.ts";
import { mountLayers } from "./mount-layers.ts";

export interface FlattenSettings {
  readonly layersDir: string;
  /** Relative to `layersDir`, the topmost first. */
  readonly layers: readonly string[];
  /** An empty folder to mount on. */
  readonly mountPoint: string;
  /** A folder that is not there yet. */
  readonly target: string;
  /** Where the extended attributes of its files are written, if there are any. */
  readonly xattrsFile: string;
}

/** What it prints, as JSON. */
export interface Flattened {
  readonly byteCount: number;
  readonly fileCount: number;
}

async function main(): Promise<void> {
  const settings = JSON.parse(process.argv.at(-1) ?? "{}") as FlattenSettings;
  process.stdout.write(JSON.stringify(await flatten(settings)));
}

async function flatten(settings: FlattenSettings): Promise<Flattened> {
  const { layersDir, layers, mountPoint, target, xattrsFile } = settings;
  const [only, ...more] = layers;
  if (only === undefined) throw new Error("an image has at least one layer");
  const holders = layers.map((layer) => ({
    path: join(layersDir, layer),
    xattrs: LayerXattrs.read(join(layersDir, dirname(layer), XATTRS_FILE)),
  }));
  // Overlayfs wants two layers when nothing may be written.
  if (more.length > 0) mountLayers({ layersDir, lower: layers, target: mountPoint });
  const flattening = new Flattening();
  const from = more.length > 0 ? mountPoint : join(layersDir, only);
  flattening.copyFolder({ from, to: target, names: [], holders });
  await flattening.xattrs.write(xattrsFile);
  return flattening.total;
}

/** A layer that has what is copied, and where. */
interface Holder {
  readonly path: string;
  readonly xattrs: LayerXattrs;
}

interface Entry {
  /** In the view of all layers. */
  readonly from: string;
  readonly to: string;
  readonly names: readonly string[];
  /** The topmost first. */
  readonly holders: readonly Holder[];
}

class Flattening {
  readonly xattrs = new LayerXattrs();
  readonly #seen = new Set<string>();
  #byteCount = 0;
  #fileCount = 0;

  get total(): Flattened {
    return { byteCount: this.#byteCount, fileCount: this.#fileCount };
  }

  copyFolder({ from, to, names, holders }: Entry): void {
    const stat = lstatSync(from);
    mkdirSync(to);
    for (const name of readdirSync(from)) {
      const below = holders.map(({ path, xattrs }) => ({ path: join(path, name), xattrs }));
      const entry = { from: join(from, name), to: join(to, name), names: [...names, name] };
      this.#copyEntry({ ...entry, holders: below });
    }
    take(to, stat);
    // A folder is in an upper layer because of what is in it there.
    const found = holders.map(({ xattrs }) => xattrs.of(names)).find((own) => own.length > 0);
    this.xattrs.set(names, found ?? []);
  }

  #copyEntry(entry: Entry): void {
    const { from, to, holders } = entry;
    const stat = lstatSync(from);
    this.#fileCount += 1;
    if (stat.isDirectory()) {
      const below = holders.filter(({ path }) => statOf(path)?.isDirectory() === true);
      this.copyFolder({ ...entry, holders: below });
    } else if (stat.isSymbolicLink()) {
      symlinkSync(readlinkSync(from), to);
      lchownSync(to, stat.uid, stat.gid);
    } else if (stat.isFile()) {
      this.#linkFile(entry);
    }
    // Sockets, pipes and devices are of the step that made them.
  }

  #linkFile({ from, to, names, holders }: Entry): void {
    const source = holders.find(({ path }) => statOf(path)?.isFile() === true);
    if (source === undefined) throw new Error(`no layer has ${from}`);
    linkSync(source.path, to);
    const own = lstatSync(source.path);
    const inode = `${own.dev}:${own.ino}`;
    if (!this.#seen.has(inode)) this.#byteCount += own.size;
    this.#seen.add(inode);
    this.xattrs.set(names, source.xattrs.of(names));
  }
}

function take(path: string, { uid, gid, mode, atimeMs, mtimeMs }: Stats): void {
  lchownSync(path, uid, gid);
  chmodSync(path, mode & 0o7777);
  utimesSync(path, atimeMs / 1_000, mtimeMs / 1_000);
}

function statOf(path: string): Stats | undefined {
  return lstatSync(path, { throwIfNoEntry: false });
}

// After the class above, which does not exist before.
if (import.meta.main) await main();
