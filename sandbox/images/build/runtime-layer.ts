/**
 * What every image gets on top of its base: the platform's Node under `/opt/flotilla`, the libraries
 * that it needs and the base lacks, and the folders that containers mount on.
 *
 * Libraries that a base has are left as they are. One that has a C library of its own gets what
 * Node lacks beside it; one that has none (an empty base, or one with musl) gets Debian's as a
 * whole. The step that runs after it starts this Node once, so that an image in which functions
 * cannot start is found while it is built.
 */
import { execFile } from "node:child_process";
import { chmod, copyFile, lstat, mkdir, readlink, realpath, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { promisify } from "node:util";
import { parseLdd } from "../base-image.ts";
import { NODE_PATH } from "./runtime-paths.ts";

const run = promisify(execFile);

/** Folders that a container mounts on, or expects. */
const FOLDERS = [
  ...["proc", "sys", "dev", "dev/shm", "tmp", "etc", "runner", "run/flotilla", "root"],
  ...["usr/bin", "var/tmp"],
];
const LIBRARY_FOLDERS = [
  ...["lib64", "usr/lib64", "lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu"],
  ...["lib/aarch64-linux-gnu", "usr/lib/aarch64-linux-gnu", "lib", "usr/lib", "usr/local/lib"],
];
const C_LIBRARY = "libc.so.6";
const ETC: Readonly<Record<string, string>> = {
  passwd: "root:x:0:0:root:/root:/bin/sh\nuser:x:65534:65534:user:/tmp:/bin/false\n",
  group: "root:x:0:\nuser:x:65534:\n",
  "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
};

/** Puts it into the image whose files are at `root`, which nobody else writes to. */
export async function addRuntime(root: string): Promise<void> {
  const image = new ImageView(root);
  for (const folder of FOLDERS) {
    const isNew = !(await image.has(folder));
    await mkdir(await image.at(folder), { recursive: true });
    if (isNew && folder.endsWith("tmp")) await chmod(await image.at(folder), 0o1777);
  }
  for (const [name, text] of Object.entries(ETC)) {
    if (await image.has(`etc/${name}`)) continue;
    await writeFile(await image.at(`etc/${name}`), text, { mode: 0o644 });
  }
  const node = await realpath(process.execPath);
  await copyInto(node, await image.at(NODE_PATH));
  const { stdout } = await run("ldd", [node]);
  const home = await image.folderOf(C_LIBRARY);
  for (const library of parseLdd(stdout)) {
    const name = basename(library);
    if (home === undefined) {
      await copyInto(library, await image.at(library));
    } else if (!name.startsWith("ld-") && (await image.folderOf(name)) === undefined) {
      await copyInto(library, await image.at(`${home}/${name}`));
    }
  }
}

async function copyInto(source: string, target: string): Promise<void> {
  await mkdir(dirname(target), { recursive: true });
  await copyFile(await realpath(source), target);
  await chmod(target, 0o755);
}

/** An image, looked at without following its links out of it. */
class ImageView {
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  async has(path: string): Promise<boolean> {
    return (await this.#statOf(await this.#real(path))) !== undefined;
  }

  /** The path on this machine of a path in the image. */
  async at(path: string): Promise<string> {
    return join(this.#root, await this.#real(path));
  }

  /** The folder of the image that has a library, as a path in the image. */
  async folderOf(name: string): Promise<string | undefined> {
    for (const folder of LIBRARY_FOLDERS) {
      const real = await this.#real(`${folder}/${name}`);
      if ((await this.#statOf(real)) !== undefined) return this.#real(folder);
    }
    return undefined;
  }

  /** A path with the links of the image followed, each from the root of the image. */
  async #real(path: string): Promise<string> {
    let waiting = path.split("/").filter((part) => part !== "");
    let done: string[] = [];
    for (let steps = 0; waiting.length > 0 && steps < 512; steps += 1) {
      const [part = "", ...rest] = waiting;
      waiting = rest;
      if (part === ".") continue;
      if (part === "..") {
        done = done.slice(0, -1);
        continue;
      }
      const stat = await this.#statOf(join(...done, part));
      if (stat?.isSymbolicLink() === true) {
        const target = await readlink(join(this.#root, ...done, part));
        if (target.startsWith("/")) done = [];
        waiting = [...target.split("/").filter((each) => each !== ""), ...waiting];
      } else {
        done = [...done, part];
      }
    }
    return done.join("/");
  }

  async #statOf(path: string) {
    return lstat(join(this.#root, path)).catch(() => undefined);
  }
}
