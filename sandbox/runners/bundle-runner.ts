/** The Node runner as one file, made once per version of its source. */
import { createHash } from "node:crypto";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { addEntropyAddon } from "./entropy-addon.ts";

const SOURCE = fileURLToPath(new URL("./node/main.ts", import.meta.url));
/** Frames of this file are left out of users' stacks. */
export const RUNNER_FILE = "flotilla-runner.mjs";
/** Beside a bundled agent, which has no sources to bundle. */
const READY_MADE = fileURLToPath(new URL(`./${RUNNER_FILE}`, import.meta.url));

/**
 * Bundles the runner into `dir`, with its add-on beside it where one can be had, and gives the
 * path of the folder that holds them: named by the hash of the runner, so that containers of
 * different versions never share one.
 */
export async function bundleRunner(dir: string): Promise<string> {
  const contents = (await isThere(READY_MADE)) ? await readFile(READY_MADE) : await runnerBundle();
  const folder = join(dir, createHash("sha256").update(contents).digest("hex").slice(0, 16));
  const file = join(folder, RUNNER_FILE);
  if (await isThere(file)) return folder;
  await mkdir(folder, { recursive: true });
  await addEntropyAddon(folder);
  const temporary = `${file}.${process.pid}`;
  await writeFile(temporary, contents, { mode: 0o644 });
  await rename(temporary, file);
  return folder;
}

/** The runner as the bytes of one module. */
export async function runnerBundle(): Promise<Uint8Array> {
  const { build, stop } = await import("esbuild");
  const { outputFiles } = await build({
    entryPoints: [SOURCE],
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node24",
    write: false,
    logLevel: "silent",
  });
  // esbuild works in a child process that would stay as long as this one.
  await stop();
  const [bundle] = outputFiles;
  if (bundle === undefined) throw new Error("esbuild gave no output for the runner");
  return bundle.contents;
}

async function isThere(file: string): Promise<boolean> {
  try {
    await readFile(file);
    return true;
  } catch {
    // Not bundled yet.
    return false;
  }
}
