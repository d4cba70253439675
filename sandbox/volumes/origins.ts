/**
 * Where in its version a folder of a container comes from, once programs have renamed folders.
 *
 * A folder that is renamed shows, under its new name, what the version has under the old one, and
 * nothing above says so by name. What is not above is a file of the version, unchanged; so it is
 * found by its inode, which overlayfs gives as the version's own (`xino=off`). One file is
 * enough: all in a folder that is not above comes from one folder of the version.
 */
import { systemCodeOf, PlatformError } from "../../core/index.ts";
import type { ConfinedTree } from "../archive/confined-tree.ts";
import type { KnownTree } from "./known-tree.ts";

/** Where a folder comes from. */
export type Origin =
  | { readonly kind: "folder"; readonly path: string }
  /** It has nothing of the version but folders: none of them is anywhere else. */
  | { readonly kind: "hollow" }
  /** What is in it changes at this moment. */
  | { readonly kind: "unsure" };

interface Trace {
  /** Its names from the folder that is asked for. */
  readonly names: readonly string[];
  readonly inode: bigint;
}

export interface OriginsOptions {
  /** The version below, as it is mounted. */
  readonly lower: ConfinedTree;
  readonly merged: ConfinedTree;
  /** What the version has. */
  readonly base: KnownTree;
}

export class Origins {
  readonly #options: OriginsOptions;

  constructor(options: OriginsOptions) {
    this.#options = options;
  }

  /**
   * @param untouched Names in the folder that are not above.
   * @param guess     Where it comes from if it went along with the folder that it is in.
   */
  async of(
    folder: readonly string[],
    untouched: readonly string[],
    guess: string,
  ): Promise<Origin> {
    const trace = await this.#traceIn(folder, untouched);
    if (trace === undefined) return { kind: "hollow" };
    for (const origin of this.#candidates(folder.join("/"), guess, trace.names.join("/"))) {
      const names = [...origin.split("/"), ...trace.names].filter((name) => name !== "");
      const stats = await this.#options.lower.seen(names).catch(goneIsNothing);
      if (stats?.ino === trace.inode) return { kind: "folder", path: origin };
    }
    return { kind: "unsure" };
  }

  /** The likely ones first; a look at all names only where a folder has been renamed. */
  *#candidates(path: string, guess: string, name: string): Generator<string> {
    yield path;
    if (guess !== path) yield guess;
    for (const known of this.#options.base.tree.keys()) {
      if (known === name) yield "";
      else if (known.endsWith(`/${name}`)) yield known.slice(0, -name.length - 1);
    }
  }

  /** Any file or link that is not above. */
  async #traceIn(
    folder: readonly string[],
    untouched: readonly string[],
  ): Promise<Trace | undefined> {
    const { merged } = this.#options;
    const folders: string[] = [];
    for (const name of untouched) {
      const stats = await merged.seen([...folder, name]).catch(goneIsNothing);
      if (stats?.isDirectory() === true) folders.push(name);
      else if (stats !== undefined) return { names: [name], inode: stats.ino };
    }
    for (const name of folders) {
      const inside = [...folder, name];
      const names = await merged.list(inside).catch(goneIsNothing);
      const found = await this.#traceIn(inside, names ?? []);
      if (found !== undefined) return { ...found, names: [name, ...found.names] };
    }
    return undefined;
  }
}

function goneIsNothing(error: unknown): undefined {
  if (error instanceof PlatformError) return undefined;
  if (["ENOENT", "ENOTDIR", "ELOOP"].includes(systemCodeOf(error) ?? "")) return undefined;
  throw error;
}
