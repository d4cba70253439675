/** Root file systems with the Python of this machine and packages of the index, for tests. */
import { cp } from "node:fs/promises";
import { join } from "node:path";
import { preparePythonImage } from "../images/python-image.ts";
import { pythonPackages } from "../runners/test-python-packages.ts";

/** Where the packages are in such a tree, for `PYTHONPATH`. */
export const PACKAGES_DIR = "/opt/packages";

/**
 * A tree below `dir` with these packages; undefined, with a word on standard error, where the
 * index cannot be reached.
 */
export async function pythonTree(
  dir: string,
  ...pins: readonly string[]
): Promise<string | undefined> {
  const packages = await pythonPackages(...pins);
  if (packages === undefined) return undefined;
  const root = join(dir, "python-tree");
  await cp(await preparePythonImage(join(dir, "images")), root, {
    recursive: true,
    preserveTimestamps: true,
    verbatimSymlinks: true,
  });
  await cp(packages, join(root, PACKAGES_DIR), { recursive: true, preserveTimestamps: true });
  return root;
}
