/**
 * Files below a folder that programs of this container have open, by path.
 *
 * Its text also travels as a part of the program of a sandbox, so nothing here may use anything
 * from outside but what Node has built in.
 */
export async function openFilesBelow(folder: string): Promise<readonly string[]> {
  const { readdir, readlink } = process.getBuiltinModule("node:fs/promises");
  const open = new Set<string>();
  const nothing = (): string[] => [];
  for (const pid of await readdir("/proc").catch(nothing)) {
    if (!/^\d+$/.test(pid)) continue;
    for (const fd of await readdir(`/proc/${pid}/fd`).catch(nothing)) {
      // It may be closed by now.
      const target = await readlink(`/proc/${pid}/fd/${fd}`).catch(() => "");
      if (target.startsWith(`${folder}/`)) open.add(target);
    }
  }
  return [...open].sort();
}
