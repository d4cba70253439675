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
import { join } from "node:path";
import { mountLayers } from "./mount-layers.ts";

export interface FlattenSettings {
  readonly layersDir: string;
  /** Relative to `layersDir`, the topmost first. */
  readonly layers: readonly string[];
  /** An empty folder to mount on. */
  readonly mountPoint: string;
  /** A folder that is not there yet. */
  readonly target: string;
}

/** What it prints, as JSON. */
export interface Flattened {
  readonly byteCount: number;
  readonly fileCount: number;
}

if (import.meta.main) main();

function main(): void {
  const settings = JSON.parse(process.argv.at(-1) ?? "{}") as FlattenSettings;
  process.stdout.write(JSON.stringify(flatten(settings)));
}

function flatten({ layersDir, layers, mountPoint, target }: FlattenSettings): Flattened {
  const [only, ...more] = layers;
  if (only === undefined) throw new Error("an image has at least one layer");
  const trees = layers.map((layer) => join(layersDir, layer));
  // Overlayfs wants two layers when nothing may be written.
  if (more.length > 0) mountLayers({ layersDir, lower: layers, target: mountPoint });
  const view = more.length > 0 ? mountPoint : join(layersDir, only);
  const seen = new Set<string>();
  const total = { byteCount: 0, fileCount: 0 };

  const copyFolder = (from: string, to: string, holders: readonly string[]): void => {
    const stat = lstatSync(from);
    mkdirSync(to);
    for (const name of readdirSync(from))
      copyEntry(join(from, name), join(to, name), name, holders);
    take(to, stat);
  };
  const copyEntry = (from: string, to: string, name: string, holders: readonly string[]): void => {
    const stat = lstatSync(from);
    total.fileCount += 1;
    if (stat.isDirectory()) {
      const below = holders
        .map((holder) => join(holder, name))
        .filter((path) => statOf(path)?.isDirectory() === true);
      copyFolder(from, to, below);
    } else if (stat.isSymbolicLink()) {
      symlinkSync(readlinkSync(from), to);
      lchownSync(to, stat.uid, stat.gid);
    } else if (stat.isFile()) {
      const source = holders
        .map((holder) => join(holder, name))
        .find((path) => statOf(path)?.isFile() === true);
      if (source === undefined) throw new Error(`no layer has ${from}`);
      linkSync(source, to);
      const own = lstatSync(source);
      const inode = `${own.dev}:${own.ino}`;
      if (!seen.has(inode)) total.byteCount += own.size;
      seen.add(inode);
    }
    // Sockets, pipes and devices are of the step that made them.
  };
  copyFolder(view, target, trees);
  return total;
}

function take(path: string, { uid, gid, mode, atimeMs, mtimeMs }: Stats): void {
  lchownSync(path, uid, gid);
  chmodSync(path, mode & 0o7777);
  utimesSync(path, atimeMs / 1_000, mtimeMs / 1_000);
}

function statOf(path: string): Stats | undefined {
  return lstatSync(path, { throwIfNoEntry: false });
}
