/** Files of native code beside the runners: built from their source where there is a compiler. */
import { execFile } from "node:child_process";
import { copyFile, mkdtemp, readFile, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);

/** The compiler, as POSIX names it. */
const COMPILER = "cc";
const WARNINGS = ["-O2", "-Wall", "-Wextra", "-Werror"] as const;

/** What is built, and how. */
export interface NativeFile {
  readonly name: string;
  /** Path of its one source file. */
  readonly source: string;
  readonly flags: readonly string[];
}

/**
 * Puts the file into `dir`: the one beside a bundled agent, which has no sources, or a new one.
 *
 * @returns Whether it is there; without a compiler, or one that cannot build it, it is not.
 */
export async function addNativeFile(native: NativeFile, dir: string): Promise<boolean> {
  const { name, source, flags } = native;
  const built = await mkdtemp(join(dir, ".native-"));
  try {
    const made = join(built, name);
    await copyFile(readyMade(name), made).catch(() =>
      run(COMPILER, [...WARNINGS, ...flags, "-o", made, source]),
    );
    await rename(made, join(dir, name));
    return true;
  } catch {
    // No compiler, or one that lacks what this needs.
    return false;
  } finally {
    await rm(built, { recursive: true, force: true });
  }
}

/** The bytes of the file `name` once `add` has put it into a folder; undefined where it cannot. */
export async function bytesOf(
  name: string,
  add: (dir: string) => Promise<boolean>,
): Promise<Uint8Array | undefined> {
  const dir = await mkdtemp(join(tmpdir(), "flotilla-native-"));
  try {
    return (await add(dir)) ? await readFile(join(dir, name)) : undefined;
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** Where a bundled agent has the file. */
function readyMade(name: string): string {
  return fileURLToPath(new URL(`./${name}`, import.meta.url));
}
