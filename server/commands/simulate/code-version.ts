/** Which code flies: for people its commit, for kept runs a hash of what it consists of. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { filesOf, type RunSpec } from "../../../simulations/index.ts";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
/** Everything that a run is made of; the lock file fixes the solvers. */
const FOLDERS = [
  ...["core", "documents", "optimizer", "scheduler", "pool", "providers", "simulations"],
] as const;
const COMMIT_LENGTH = 12;

/** A short commit, `+` when files of the checkout differ from it; undefined without a checkout. */
export async function commitOf(): Promise<string | undefined> {
  try {
    const run = promisify(execFile);
    const git = async (...args: readonly string[]): Promise<string> =>
      (await run("git", ["-C", ROOT, ...args])).stdout.trim();
    const commit = await git("rev-parse", `--short=${COMMIT_LENGTH}`, "HEAD");
    const changes = await git("status", "--porcelain", "--", ...FOLDERS);
    return changes === "" ? commit : `${commit}+`;
  } catch {
    // No git, or no checkout: a run is then known by its version alone.
    return undefined;
  }
}

/** All that fixes a run besides what its task says: the code, and what is in the spec's files. */
export async function basisOf(spec: RunSpec): Promise<string> {
  const files = await Promise.all(
    filesOf(spec).map(async (file) => createHash("sha256").update(await readFile(file))),
  );
  return [await codeHash(), ...files.map((hash) => hash.digest("hex"))].join(" ");
}

/** A hash of all code that a run consists of, tests left out. About 10 ms a megabyte. */
export async function codeHash(): Promise<string> {
  const hash = createHash("sha256");
  const files = (
    await Promise.all(
      FOLDERS.map(async (folder) =>
        (await readdir(join(ROOT, folder), { recursive: true })).map((file) => join(folder, file)),
      ),
    )
  ).flat();
  const code = files.filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts"));
  for (const file of [...code.sort(), "package-lock.json"]) {
    hash.update(file.replaceAll(sep, "/")).update("\0");
    hash.update(await readFile(join(ROOT, file))).update("\0");
  }
  return hash.digest("hex");
}
