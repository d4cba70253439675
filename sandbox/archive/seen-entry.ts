/** What is in an open folder, looked at by its names as they are, without following a link. */
import { isUtf8 } from "node:buffer";
import type { BigIntStats } from "node:fs";
import { lstat, readlink, type FileHandle } from "node:fs/promises";
import { systemCodeOf } from "../../core/index.ts";

/** A name in a folder, and what was there a moment ago. */
export interface SeenEntry {
  /** Undefined when it is no UTF-8: no path of a tree leads there. */
  readonly name: string | undefined;
  readonly stats: BigIntStats;
  /** Of a link; undefined when that is no UTF-8. */
  readonly target?: string | undefined;
}

/** A name in an open folder as it is now; undefined when it has gone. */
export async function lookAt(folder: FileHandle, name: Buffer): Promise<SeenEntry | undefined> {
  const path = Buffer.concat([Buffer.from(`${fdPath(folder)}/`), name]);
  try {
    const stats = await lstat(path, { bigint: true });
    const text = isUtf8(name) ? name.toString("utf8") : undefined;
    if (!stats.isSymbolicLink()) return { name: text, stats };
    const target = await readlink(path, { encoding: "buffer" });
    return { name: text, stats, target: isUtf8(target) ? target.toString("utf8") : undefined };
  } catch (error) {
    // It has gone, or another thing has its name now, which will be seen the next time.
    if (["ENOENT", "EINVAL"].includes(systemCodeOf(error) ?? "")) return undefined;
    throw error;
  }
}

/** An open folder by a name that the kernel resolves to that folder and nothing else. */
export function fdPath(folder: FileHandle): string {
  return `/proc/self/fd/${folder.fd}`;
}
