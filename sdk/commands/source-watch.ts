/** Tells when one of some files has changed. */
import { statSync, watch, type FSWatcher } from "node:fs";
import { basename, dirname } from "node:path";

/** Editors write a file in several steps; this long after the last one it is taken as written. */
const SETTLE_MS = 150;

/**
 * Resolves once a file has changed and nothing more has for a moment. Folders are watched and not
 * files, since many editors put a new file in the old one's place.
 *
 * @param paths Files, absolute; those whose folder is gone are passed over.
 * @param sinceMs A change after this time counts, also one that has been made already.
 */
export async function nextChange(
  paths: readonly string[],
  { sinceMs, signal }: { readonly sinceMs: number; readonly signal: AbortSignal },
): Promise<void> {
  const folders = Map.groupBy(paths, (path) => dirname(path));
  const watchers: FSWatcher[] = [];
  let settling: NodeJS.Timeout | undefined;
  try {
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      signal.addEventListener("abort", () => resolve(), { once: true });
      for (const [folder, files] of folders) {
        const names = new Set(files.map((file) => basename(file)));
        const onChange = (_event: string, name: string | null): void => {
          if (name !== null && !names.has(name)) return;
          clearTimeout(settling);
          settling = setTimeout(resolve, SETTLE_MS);
        };
        watchers.push(...watcherOf(folder, onChange));
      }
      if (paths.some((path) => isChanged(path, sinceMs))) settling = setTimeout(resolve, SETTLE_MS);
    });
  } finally {
    clearTimeout(settling);
    for (const watcher of watchers) watcher.close();
  }
}

function isChanged(path: string, sinceMs: number): boolean {
  const changedAtMs = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  // A file of the future would have changed for ever.
  return changedAtMs > sinceMs && changedAtMs <= Date.now();
}

function watcherOf(
  folder: string,
  onChange: (event: string, name: string | null) => void,
): readonly FSWatcher[] {
  try {
    const watcher = watch(folder, onChange);
    watcher.on("error", () => undefined);
    return [watcher];
  } catch {
    // The folder is gone; the next bundle says so where it matters.
    return [];
  }
}
