/** The runners as files, made once per version of their sources. */
import { createHash } from "node:crypto";
import { mkdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ENTROPY_ADDON } from "./entropy-addon.ts";
import { addGuestProgram, guestVersion, GUEST_FILE } from "./guest-program.ts";
import { addNativeFile } from "./native-file.ts";
import { PYTHON_RUNNER_FILE, pythonRunnerArchive, unpackPythonRunner } from "./python-runner.ts";

const SOURCE = fileURLToPath(new URL("./node/main.ts", import.meta.url));
/** Frames of this file are left out of users' stacks. */
export const RUNNER_FILE = "flotilla-runner.mjs";

/**
 * Puts the runners of Node and Python, and the native files that go with them where they can be
 * had, into `dir` and gives the path of the folder that holds them: named by the hash of their
 * content, so that containers of different versions never share one.
 */
export async function bundleRunner(dir: string): Promise<string> {
  const node = (await readyMade(RUNNER_FILE)) ?? (await runnerBundle());
  const python = (await readyMade(PYTHON_RUNNER_FILE)) ?? (await pythonRunnerArchive());
  const hash = createHash("sha256")
    .update(node)
    .update(python)
    .update(await guestVersion());
  const folder = join(dir, hash.digest("hex").slice(0, 16));
  if (await isThere(folder)) {
    // There may have been no compiler when it was made.
    if (!(await isThere(join(folder, GUEST_FILE)))) await addGuestProgram(folder);
    return folder;
  }
  const temporary = `${folder}.${process.pid}`;
  await mkdir(temporary, { recursive: true });
  await writeFile(join(temporary, RUNNER_FILE), node, { mode: 0o644 });
  await unpackPythonRunner(python, temporary);
  await addNativeFile(ENTROPY_ADDON, temporary);
  await addGuestProgram(temporary);
  await rename(temporary, folder).catch(async (error: unknown) => {
    // Another agent was faster; its runners are the same.
    await rm(temporary, { recursive: true, force: true });
    if (!(await isThere(folder))) throw error;
  });
  return folder;
}

/** The Node runner as the bytes of one module. */
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

/** A file beside a bundled agent, which has no sources to make it from. */
async function readyMade(name: string): Promise<Uint8Array | undefined> {
  try {
    return await readFile(fileURLToPath(new URL(`./${name}`, import.meta.url)));
  } catch {
    // This is a checkout.
    return undefined;
  }
}

async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch {
    // Not made yet.
    return false;
  }
}
