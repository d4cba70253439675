/** Users and groups of an image by their names, as Dockerfiles write them. */
import type { ConfinedTree, Owner } from "../../archive/confined-tree.ts";
import { systemCodeOf } from "../../../core/index.ts";
import { wrongImage } from "../oci/image-error.ts";

const FILE_BYTES_MAX = 1024 * 1024;

/**
 * Who `user` or `user:group` is: numbers as they are, names as `/etc/passwd` and `/etc/group` of
 * the image have them. Without a group it is the user's own, of a number the same number.
 *
 * @throws PlatformError `invalid_request` for a name that the image does not have
 */
export async function ownerIn(tree: ConfinedTree, text: string): Promise<Owner> {
  const [user = "", group] = text.split(":");
  const { uid, ownGid } = await userOf(tree, user);
  return { uid, gid: group === undefined ? ownGid : await groupOf(tree, group) };
}

/** Makes the folders of a path that are not there, each with an owner. */
export async function makeFolders(
  tree: ConfinedTree,
  names: readonly string[],
  owner: Owner | undefined,
): Promise<void> {
  if (owner === undefined) return tree.ensureFolder(names);
  for (let depth = 1; depth <= names.length; depth += 1) {
    const folder = names.slice(0, depth);
    if ((await tree.seen(folder)) === undefined) await tree.makeFolder(folder, 0o755, owner);
  }
}

async function userOf(
  tree: ConfinedTree,
  user: string,
): Promise<{ readonly uid: number; readonly ownGid: number }> {
  if (isNumber(user)) return { uid: Number(user), ownGid: Number(user) };
  const found = (await linesOf(tree, "passwd")).find(([name]) => name === user);
  if (found === undefined) throw wrongImage(`there is no user ${user} in the image's /etc/passwd`);
  return { uid: Number(found[2]), ownGid: Number(found[3]) };
}

async function groupOf(tree: ConfinedTree, group: string): Promise<number> {
  if (isNumber(group)) return Number(group);
  const found = (await linesOf(tree, "group")).find(([name]) => name === group);
  if (found === undefined) throw wrongImage(`there is no group ${group} in the image's /etc/group`);
  return Number(found[2]);
}

async function linesOf(tree: ConfinedTree, name: string): Promise<readonly (readonly string[])[]> {
  try {
    const bytes = await tree.readFile(["etc", name], FILE_BYTES_MAX);
    const lines = new TextDecoder().decode(bytes).split("\n");
    return lines.map((line) => line.split(":"));
  } catch (error) {
    if (systemCodeOf(error) === "ENOENT") return [];
    throw error;
  }
}

function isNumber(text: string): boolean {
  return /^\d{1,9}$/.test(text);
}
