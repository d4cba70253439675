/** Files and folders of this machine that are added to an image. */
import { lstat, readdir, readFile, readlink, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { UsageError } from "../../errors.ts";
import { ignoring, mayTakeBack, type IsIgnored } from "./ignore.ts";
import type { ArchiveEntry } from "./write-tar.ts";

const FILES_MAX = 100_000;

/** The entries of a folder's contents, by name; links are kept as links. @throws UsageError */
export async function entriesOfDir(
  source: string,
  ignore: readonly string[],
): Promise<readonly ArchiveEntry[]> {
  const found = await stat(source).catch(() => undefined);
  if (found?.isDirectory() !== true) throw new UsageError(`there is no folder ${source} to add`);
  const entries: ArchiveEntry[] = [];
  const isIgnored = ignoring(ignore);
  await collect(source, "", { isIgnored, looksBelow: mayTakeBack(ignore), entries });
  return entries;
}

/** The entry of a file, under a name. @throws UsageError */
export async function entryOfFile(source: string, name: string): Promise<ArchiveEntry> {
  const found = await stat(source).catch(() => undefined);
  if (found?.isFile() !== true) throw new UsageError(`there is no file ${source} to add`);
  return fileEntry(source, name, found);
}

/** Where a file goes: into a target that ends with "/", else to the target itself. */
export function placeOf(
  source: string,
  target: string,
): { readonly dir: string; readonly name: string } {
  if (target.endsWith("/")) return { dir: target, name: basename(source) };
  const slash = target.lastIndexOf("/");
  return { dir: target.slice(0, slash + 1), name: target.slice(slash + 1) };
}

interface Collecting {
  readonly isIgnored: IsIgnored;
  /** Whether ignored folders are looked into. */
  readonly looksBelow: boolean;
  readonly entries: ArchiveEntry[];
}

async function collect(root: string, below: string, collecting: Collecting): Promise<void> {
  const { isIgnored, looksBelow, entries } = collecting;
  const names = (await readdir(join(root, below))).sort();
  for (const one of names) {
    const name = below === "" ? one : `${below}/${one}`;
    const path = join(root, name);
    const isOut = isIgnored(name);
    const found = await lstat(path);
    if (found.isDirectory()) {
      if (!isOut) entries.push({ kind: "dir", name });
      if (!isOut || looksBelow) await collect(root, name, collecting);
    } else if (!isOut && found.isSymbolicLink()) {
      entries.push({ kind: "link", name, target: await readlink(path) });
    } else if (!isOut && found.isFile()) {
      entries.push(fileEntry(path, name, found));
    }
    if (entries.length > FILES_MAX) {
      throw new UsageError(
        `${root} has more than ${FILES_MAX} files`,
        'leave out what the image does not need: addLocalDir(…, …, { ignore: ["data/**"] })',
      );
    }
  }
}

function fileEntry(
  path: string,
  name: string,
  { size, mode }: { readonly size: number; readonly mode: number },
): ArchiveEntry {
  const isExecutable = (mode & 0o111) !== 0;
  const read = async (): Promise<Uint8Array> => {
    const bytes = await readFile(path);
    if (bytes.length <= size) return bytes;
    throw new UsageError(`${path} grew while it was read; try again when it is finished`);
  };
  return { kind: "file", name, byteCount: size, isExecutable, read };
}
