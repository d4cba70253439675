/** Brings a newer version of a volume into the folder of a container that runs. */
import { PlatformError } from "../../core/index.ts";
import { VOLUME_PIECE_BYTES, type VolumeChange } from "../../sdk/protocol/index.ts";
import type { ConfinedTree } from "../archive/confined-tree.ts";
import type { ChunkSource } from "../store/index.ts";
import { markHash, signatureOf } from "./find-changes.ts";
import type { JournalStep } from "./journal.ts";
import type { KnownTree } from "./known-tree.ts";
import { changeOf, entryOfChange } from "./merge.ts";
import { entryMark, sorted, type TreeEntry, type VolumeTree } from "./volume-tree.ts";

export interface ApplyOptions {
  readonly upper: ConfinedTree;
  readonly merged: ConfinedTree;
  /** What the folder has. */
  readonly known: KnownTree;
  /** What it is to have. */
  readonly next: VolumeTree;
  readonly source: ChunkSource;
}

export interface AppliedVersion {
  readonly step: JournalStep;
  readonly changedCount: number;
  readonly removedCount: number;
  /** Makes a tree what the folder is now. */
  apply(known: KnownTree): void;
}

type FileEntry = Extract<TreeEntry, { kind: "file" }>;

const USER = { uid: 65_534, gid: 65_534 };
const FOLDER_MODE = 0o777;

/**
 * Writes what differs. Files are exchanged at once: a reader has the old one or the new one.
 * What the container changed meanwhile is its own and stays.
 *
 * @throws PlatformError `unavailable` when a chunk cannot be read; what was written by then is a
 *   change of the container's that equals the newer version
 */
export async function applyVersion(options: ApplyOptions): Promise<AppliedVersion> {
  const { known, next, merged, upper } = options;
  const removed: string[] = [];
  const changes: VolumeChange[] = [];
  const signatures: (readonly [string, string])[] = [];
  const gone = [...known.tree].filter(([path]) => !next.has(path)).map(([path]) => path);
  for (const path of gone.toSorted((a, b) => b.split("/").length - a.split("/").length)) {
    if (await removeAt(merged, path, known.get(path))) removed.push(path);
  }
  for (const [path, entry] of sorted(next)) {
    if (!differs(known.get(path), entry)) continue;
    await write(options, path, entry);
    changes.push(changeOf(path, entry));
    const stats = entry.kind === "file" ? await upper.seen(path.split("/")) : undefined;
    if (stats !== undefined) signatures.push([path, signatureOf(stats)]);
  }
  return {
    step: { signatures, changes, removed },
    changedCount: changes.length,
    removedCount: removed.length,
    apply: (tree) => {
      for (const path of removed) tree.delete(path);
      for (const change of changes) tree.set(change.path, entryOfChange(change));
    },
  };
}

function differs(before: TreeEntry | undefined, entry: TreeEntry): boolean {
  if (entryMark(before, markHash) !== entryMark(entry, markHash)) return true;
  return entry.kind === "file" && before?.modifiedAtMs !== entry.modifiedAtMs;
}

async function removeAt(
  merged: ConfinedTree,
  path: string,
  entry: TreeEntry | undefined,
): Promise<boolean> {
  const names = path.split("/");
  // The container may have put something into it: then the folder stays, and is its own.
  if (entry?.kind === "folder") return merged.removeEmptyFolder(names);
  await merged.remove(names);
  return true;
}

async function write(
  { merged, source }: ApplyOptions,
  path: string,
  entry: TreeEntry,
): Promise<void> {
  const names = path.split("/");
  if (entry.kind === "folder") await merged.makeFolder(names, FOLDER_MODE, USER);
  else if (entry.kind === "link") await merged.makeSymlink(names, entry.target, USER);
  else {
    await merged.replaceFile(names, {
      mode: entry.executable ? 0o777 : 0o666,
      owner: USER,
      modifiedAtS: entry.modifiedAtMs / 1_000,
      content: contentOf(entry, source),
    });
  }
}

/** The bytes of a file, piece by piece. */
export async function* contentOf(
  { bytes, chunks }: Pick<FileEntry, "bytes" | "chunks">,
  source: ChunkSource,
): AsyncGenerator<Uint8Array> {
  for (const [piece, id] of chunks.entries()) {
    const byteCount = Math.min(VOLUME_PIECE_BYTES, bytes - piece * VOLUME_PIECE_BYTES);
    const content = id === "" ? new Uint8Array(byteCount) : await source.read(id);
    if (content.byteLength !== byteCount) {
      throw new PlatformError(`chunk ${id} has ${content.byteLength} bytes, not ${byteCount}`, {
        code: "unavailable",
        retryable: false,
        details: { chunkId: id },
      });
    }
    yield content;
  }
}
