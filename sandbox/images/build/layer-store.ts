/**
 * Layers and roots on this machine's disk.
 *
 *     <dir>/layers/<key>/tree     what a step changed, as the upper folder of an overlay
 *     <dir>/layers/<key>/xattrs.json  the extended attributes of its files, if there are any
 *     <dir>/layers/<key>/layer.json   written last: without it the layer is not there
 *     <dir>/roots/<imageId>/      a whole image, its files hard links to those of the layers
 *     <dir>/roots/<imageId>.xattrs.json   the extended attributes of its files
 *     <dir>/work/                 what is being made; emptied when the store is opened
 *
 * A key says all that a layer was made from, so a layer is never changed, only removed.
 */
import { mkdir, readdir, readFile, rename, rm, stat, statfs, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { randomUUID } from "node:crypto";
import { systemCodeOf } from "../../../core/index.ts";
import type { Xattr } from "../../store/index.ts";
import { LayerXattrs, XATTRS_FILE } from "./layer-xattrs.ts";

/** What is known of a layer. */
export interface LayerInfo {
  /** 32 hexadecimal digits. */
  readonly key: string;
  readonly step: string;
  readonly byteCount: number;
  readonly createdAtMs: number;
}

/** Folder of what becomes a root, in the folder where it is made. */
export const ROOT_FOLDER = "root";

const INFO_FILE = "layer.json";
const KEY = /^[0-9a-f]{32}$/;
const IMAGE_ID = /^[0-9a-f]{64}$/;

export class LayerStore {
  readonly #dir: string;

  private constructor(dir: string) {
    this.#dir = dir;
  }

  /** Opens the store of a folder; what a killed build left is removed. */
  static async open(dir: string): Promise<LayerStore> {
    await rm(join(dir, "work"), { recursive: true, force: true });
    for (const name of ["layers", "roots", "work"]) {
      await mkdir(join(dir, name), { recursive: true, mode: 0o700 });
    }
    return new LayerStore(dir);
  }

  get layersDir(): string {
    return join(this.#dir, "layers");
  }

  treeOf(key: string): string {
    return join(this.layersDir, key, "tree");
  }

  rootOf(imageId: string): string {
    return join(this.#dir, "roots", imageId);
  }

  async find(key: string): Promise<LayerInfo | undefined> {
    try {
      const text = await readFile(join(this.layersDir, key, INFO_FILE), "utf8");
      return JSON.parse(text) as LayerInfo;
    } catch {
      // Not there, or half made.
      return undefined;
    }
  }

  async hasRoot(imageId: string): Promise<boolean> {
    return isFolder(this.rootOf(imageId));
  }

  /** An empty folder on the disk of the layers, for something that becomes one. */
  async workFolder(): Promise<string> {
    const path = join(this.#dir, "work", randomUUID().slice(0, 13));
    await mkdir(path, { recursive: true });
    return path;
  }

  /** Makes a layer of `<work>/tree`, all at once. */
  async keep(work: string, info: LayerInfo): Promise<void> {
    const target = join(this.layersDir, info.key);
    await writeFile(join(work, INFO_FILE), JSON.stringify(info));
    await rm(target, { recursive: true, force: true });
    await rename(work, target);
  }

  /** Makes a root of `<work>/root`, all at once, and of the attributes beside it. */
  async keepRoot(work: string, imageId: string): Promise<void> {
    const folder = join(work, ROOT_FOLDER);
    await rename(join(work, XATTRS_FILE), xattrsFileOf(this.rootOf(imageId))).catch(
      (error: unknown) => {
        if (systemCodeOf(error) !== "ENOENT") throw error;
      },
    );
    await rename(folder, this.rootOf(imageId)).catch(async (error: unknown) => {
      if (!(await this.hasRoot(imageId))) throw error;
      await rm(folder, { recursive: true, force: true });
    });
  }

  async layers(): Promise<readonly LayerInfo[]> {
    const keys = (await readdir(this.layersDir)).filter((name) => KEY.test(name));
    const found = await Promise.all(keys.map((key) => this.find(key)));
    return found.filter((info) => info !== undefined);
  }

  async roots(): Promise<readonly string[]> {
    return (await readdir(join(this.#dir, "roots"))).filter((name) => IMAGE_ID.test(name));
  }

  async removeLayer(key: string): Promise<void> {
    await this.#remove(join(this.layersDir, key));
  }

  async removeRoot(imageId: string): Promise<void> {
    await this.#remove(this.rootOf(imageId));
    await rm(xattrsFileOf(this.rootOf(imageId)), { force: true });
  }

  async freeBytes(): Promise<number> {
    const { bavail, bsize } = await statfs(this.#dir);
    return bavail * bsize;
  }

  /** Out of sight at once, then from the disk. */
  async #remove(path: string): Promise<void> {
    const away = join(this.#dir, "work", randomUUID());
    try {
      await rename(path, away);
    } catch {
      // Somebody else removed it.
      return;
    }
    await rm(away, { recursive: true, force: true });
  }
}

/** The extended attributes of what is in a root, by path as `ingestTree` takes them. */
export function xattrsOfRoot(root: string): ReadonlyMap<string, readonly Xattr[]> {
  return LayerXattrs.read(xattrsFileOf(root)).all();
}

function xattrsFileOf(root: string): string {
  return `${root}.${XATTRS_FILE}`;
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch {
    // There is nothing of that name.
    return false;
  }
}
