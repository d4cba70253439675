/**
 * The extended attributes that a build step set: read from the files of its layer, where gVisor
 * puts them, and kept beside its tree as those of other layers are.
 *
 * A current gVisor hands `user.*` of files and folders on and refuses all else; release 20221219
 * refuses all.
 */
import { readUserXattrs } from "../../archive/tree-xattrs.ts";
import { keptXattrs, LayerXattrs } from "./layer-xattrs.ts";

/**
 * Writes those of what is below `tree` into a file for `LayerXattrs.read`, if there are any and
 * this machine can read them.
 *
 * @throws PlatformError as `LayerXattrs.set` and `keptXattrs`
 */
export async function keepStepXattrs(tree: string, file: string): Promise<void> {
  const kept = new LayerXattrs();
  for (const [path, xattrs] of (await readUserXattrs(tree)) ?? []) {
    kept.set(path === "." ? [] : path.split("/"), keptXattrs(path, xattrs));
  }
  await kept.write(file);
}
