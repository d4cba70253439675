/** Python packages for tests: installed once from the package index, into a folder of their own. */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import { promisify } from "node:util";
import { messageOf } from "../../core/index.ts";
import { findPython } from "../runtime/python-launch.ts";

const CACHE = fileURLToPath(new URL("../../node_modules/.cache/flotilla-python", import.meta.url));
const INSTALL_MS_MAX = 180_000;

/**
 * The folder in which these packages are, for `PYTHONPATH` or an image; undefined, with a word
 * on standard error, where the index cannot be reached.
 */
export async function pythonPackages(...pins: readonly string[]): Promise<string | undefined> {
  const folder = join(CACHE, pins.join("+"));
  if (existsSync(folder)) return folder;
  const temporary = `${folder}.${process.pid}`;
  try {
    const python = (await findPython()) ?? "python3";
    const pip = ["-m", "pip", "install", "--quiet", "--no-input", "--root-user-action=ignore"];
    const what = ["--only-binary=:all:", "--no-compile", "--target", temporary, ...pins];
    await promisify(execFile)(python, [...pip, ...what], { timeout: INSTALL_MS_MAX });
    await rename(temporary, folder);
    return folder;
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    if (existsSync(folder)) return folder;
    process.stderr.write(`NOT TESTED with ${pins.join(", ")}: ${messageOf(error)}\n`);
    return undefined;
  }
}
