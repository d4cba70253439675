/** The Python runner as one archive: its modules as they are, for no build is needed. */
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { decodeArchive, encodeArchive } from "../../sdk/protocol/index.ts";

const SOURCE = fileURLToPath(new URL("./python", import.meta.url));
/** The archive, as it is sent to a machine that has no sources. */
export const PYTHON_RUNNER_FILE = "flotilla-runner-python.bin";
/** What is started, below the folder that holds all runners. */
export const PYTHON_MAIN = "python/main.py";

/** All files of the runner but its tests, in an archive. */
export async function pythonRunnerArchive(): Promise<Uint8Array> {
  const entries = await readdir(SOURCE, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter((entry) => entry.isFile() && entry.name.endsWith(".py"))
    .map((entry) => join(entry.parentPath, entry.name).slice(SOURCE.length + 1))
    .filter((path) => !path.startsWith("tests/"));
  const files = paths.map(async (path) => ({ path, data: await readFile(join(SOURCE, path)) }));
  return encodeArchive(await Promise.all(files));
}

/** Writes the files of an archive where `PYTHON_MAIN` is to be found below `dir`. */
export async function unpackPythonRunner(archive: Uint8Array, dir: string): Promise<void> {
  for (const { path, data } of decodeArchive(archive)) {
    const file = join(dir, dirname(PYTHON_MAIN), path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, data, { mode: 0o644 });
  }
}
