/** The add-on that seeds a runner's OpenSSL anew: built from its source where there is a compiler. */
import { execFile } from "node:child_process";
import { copyFile, mkdtemp, readFile, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { ENTROPY_ADDON_FILE } from "./node/addon-file.ts";

const run = promisify(execFile);

const SOURCE = fileURLToPath(new URL("./node/openssl-entropy.c", import.meta.url));
/** Beside a bundled agent, which has no sources. */
const READY_MADE = fileURLToPath(new URL(`./${ENTROPY_ADDON_FILE}`, import.meta.url));

/** The compiler, as POSIX names it. */
const COMPILER = "cc";
const FLAGS = ["-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", "-fvisibility=hidden"];

/**
 * Puts the add-on into `dir`.
 *
 * @returns Whether it is there. Without a compiler it is not, and then no memory of a function
 *   is kept: the runner says so when it is asked.
 */
export async function addEntropyAddon(dir: string): Promise<boolean> {
  const built = await mkdtemp(join(dir, ".addon-"));
  try {
    const made = join(built, ENTROPY_ADDON_FILE);
    await copyFile(READY_MADE, made).catch(() => run(COMPILER, [...FLAGS, "-o", made, SOURCE]));
    await rename(made, join(dir, ENTROPY_ADDON_FILE));
    return true;
  } catch {
    // No compiler, or one that cannot build for this Node.
    return false;
  } finally {
    await rm(built, { recursive: true, force: true });
  }
}

/** The add-on's bytes for other machines like this one; undefined without a compiler. */
export async function entropyAddon(): Promise<Uint8Array | undefined> {
  const dir = await mkdtemp(join(tmpdir(), "flotilla-addon-"));
  try {
    return (await addEntropyAddon(dir)) ? await readFile(join(dir, ENTROPY_ADDON_FILE)) : undefined;
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}
