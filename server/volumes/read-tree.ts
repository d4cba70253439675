/** Listings of a volume's tree, and its files. Pure. */
import { PlatformError } from "../../core/index.ts";
import { pathFault, type TreeEntry, type VolumeTree } from "../../sandbox/index.ts";
import type { VolumeEntry } from "../../sdk/protocol/index.ts";

interface Wanted {
  /** Name of the volume, for messages. */
  readonly volume: string;
  /** `""` is the root. */
  readonly path: string;
}

/**
 * What is in a folder, with all below it when `recursive`; of a file or link, itself.
 *
 * @throws PlatformError `not_found`, `invalid_request` for what is no path
 */
export function entriesOf(
  tree: VolumeTree,
  { volume, path, recursive }: Wanted & { readonly recursive: boolean },
): readonly VolumeEntry[] {
  const folder = entryPath(path);
  const found = folder === "" ? undefined : entryAt(tree, volume, folder);
  if (found !== undefined && found.kind !== "folder") return [entryOf(folder, found)];
  const prefix = folder === "" ? "" : `${folder}/`;
  const entries: VolumeEntry[] = [];
  for (const [each, entry] of tree) {
    if (!each.startsWith(prefix)) continue;
    if (!recursive && each.includes("/", prefix.length)) continue;
    entries.push(entryOf(each, entry));
  }
  return entries;
}

/**
 * The file at a path.
 *
 * @throws PlatformError `not_found`; `invalid_request` for a folder, a link or an offset past it
 */
export function fileOf(
  tree: VolumeTree,
  { volume, path, offset }: Wanted & { readonly offset: number },
): Extract<TreeEntry, { kind: "file" }> {
  const at = entryPath(path);
  const entry = entryAt(tree, volume, at);
  if (entry.kind !== "file") throw invalid(`${at} of volume ${volume} is a ${entry.kind}, no file`);
  if (offset <= entry.bytes) return entry;
  throw invalid(`${at} of volume ${volume} has ${entry.bytes} bytes, and none at ${offset}`);
}

/** A path as it is kept; a slash in front and behind is forgiven. */
function entryPath(path: string): string {
  const text = path.replace(/^\/+/, "").replace(/\/+$/, "");
  const fault = text === "" ? undefined : pathFault(text);
  if (fault === undefined) return text;
  throw invalid(`the path ${JSON.stringify(path.slice(0, 200))} ${fault}`);
}

function entryAt(tree: VolumeTree, volume: string, path: string): TreeEntry {
  const entry = tree.get(path);
  if (entry !== undefined) return entry;
  throw new PlatformError(`there is no ${path === "" ? "file" : path} in volume ${volume}`, {
    code: "not_found",
    retryable: false,
    details: { volume },
  });
}

function entryOf(path: string, entry: TreeEntry): VolumeEntry {
  const { kind, modifiedAtMs } = entry;
  if (kind === "folder") return { path, kind, bytes: 0, modifiedAtMs };
  if (kind === "link") return { path, kind, bytes: 0, modifiedAtMs, target: entry.target };
  const { bytes, executable } = entry;
  return { path, kind, bytes, modifiedAtMs, ...(executable ? { executable } : {}) };
}

function invalid(message: string): PlatformError {
  return new PlatformError(message, { code: "invalid_request", retryable: false });
}
