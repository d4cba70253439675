/**
 * The files of a Python function as one archive, looked over where Python is at hand.
 *
 * A file goes alone; a folder goes whole, but for what is hidden, compiled or a virtual
 * environment. The archive has the same bytes for the same files.
 */
import { createHash } from "node:crypto";
import { lstat, readdir, readFile } from "node:fs/promises";
import { basename, join, relative, resolve, sep } from "node:path";
import { UsageError } from "../errors.ts";
import { encodeArchive, type ArchivedFile } from "../protocol/index.ts";
import type { PythonCode } from "../protocol/spec.ts";
import type { PythonSource } from "../python-function.ts";
import { checkPython } from "./check-python.ts";

/** What is uploaded for a Python function. */
export interface PythonBundle {
  readonly archive: Uint8Array<ArrayBuffer>;
  readonly code: PythonCode;
}

/** Most that the files of one function may have; weights belong into an image or a volume. */
export const SOURCE_BYTES_MAX = 16 * 1024 * 1024;
const FILES_MAX = 2_000;
const LEFT_OUT = new Set(["__pycache__", "node_modules", "venv"]);
const MODULE = /^[A-Za-z_]\w*$/;

/** A source, found: its files, and what its modules are called. */
interface FoundSource {
  readonly files: readonly ArchivedFile[];
  /** The package that a folder is, in front of the names of its modules. */
  readonly packageName: string | undefined;
  /** What the handler is in when it names no module; undefined when it has to. */
  readonly module: string | undefined;
}

/**
 * Gathers the files of a function.
 *
 * @param folder What a relative source is relative to.
 * @throws UsageError when a file is missing, too large or no Python, or lacks the handler.
 */
export async function bundlePython(
  { source, handler, workers }: PythonSource,
  folder: string,
): Promise<PythonBundle> {
  const path = resolve(folder, source);
  const found = await findSource(path, source);
  const [name = handler, named] = handler.split(":").reverse();
  const module = moduleOf(found, named, source);
  const file = fileOf(found.files, module);
  if (file === undefined) throw noModule(found, module, source);
  await checkPython({ shownRoot: source, files: found.files, file, handler: name });
  const archive = new Uint8Array(encodeArchive(found.files));
  const codeSha256 = createHash("sha256").update(archive).digest("hex");
  const code = { codeSha256, module, handler: name };
  return { archive, code: workers === undefined ? code : { ...code, workers } };
}

async function findSource(path: string, source: string): Promise<FoundSource> {
  const stats = await lstat(path).catch(() => undefined);
  if (stats === undefined) throw new UsageError(`there is no Python source ${source} (${path})`);
  if (stats.isDirectory()) return findFolder(path, source);
  const module = basename(path).replace(/\.py$/, "");
  if (!path.endsWith(".py") || !MODULE.test(module)) {
    throw new UsageError(
      `${source} is no Python module: its name must end in .py and be one that can be imported`,
    );
  }
  const data = await readFile(path);
  checkSize(data.byteLength, source);
  return { files: [{ path: basename(path), data }], packageName: undefined, module };
}

async function findFolder(path: string, source: string): Promise<FoundSource> {
  const files: ArchivedFile[] = [];
  await gather(path, path, files);
  checkSize(
    files.reduce((sum, { data }) => sum + data.byteLength, 0),
    source,
  );
  if (files.length > FILES_MAX) {
    throw new UsageError(`${source} has ${files.length} files; at most ${FILES_MAX} can be sent`);
  }
  const name = basename(path);
  const isPackage = files.some((file) => file.path === "__init__.py") && MODULE.test(name);
  if (!isPackage) return { files, packageName: undefined, module: undefined };
  const inside = files.map((file) => ({ path: `${name}/${file.path}`, data: file.data }));
  return { files: inside, packageName: name, module: name };
}

async function gather(root: string, folder: string, files: ArchivedFile[]): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true });
  if (entries.some(({ name }) => name === "pyvenv.cfg")) return;
  for (const entry of entries) {
    if (entry.name.startsWith(".") || entry.name.endsWith(".pyc")) continue;
    const path = join(folder, entry.name);
    if (entry.isSymbolicLink()) {
      throw new UsageError(`${path} is a symbolic link, which is not sent: put the file there`);
    }
    if (entry.isDirectory()) {
      if (!LEFT_OUT.has(entry.name)) await gather(root, path, files);
    } else if (entry.isFile()) {
      const name = relative(root, path).split(sep).join("/");
      files.push({ path: name, data: await readFile(path) });
    }
  }
}

function checkSize(bytes: number, source: string): void {
  if (bytes <= SOURCE_BYTES_MAX) return;
  throw new UsageError(
    `${source} has ${bytes} bytes, more than the ${SOURCE_BYTES_MAX} that code may have: ` +
      "leave large data out of its folder",
  );
}

function moduleOf(found: FoundSource, named: string | undefined, source: string): string {
  if (named !== undefined) {
    return found.packageName === undefined ? named : `${found.packageName}.${named}`;
  }
  if (found.module !== undefined) return found.module;
  throw new UsageError(
    `${source} is a folder without __init__.py, so its handler names the module too, ` +
      `as in handler: "serve:predict"`,
  );
}

function fileOf(files: readonly ArchivedFile[], module: string): ArchivedFile | undefined {
  const path = module.replaceAll(".", "/");
  return files.find((file) => [`${path}.py`, `${path}/__init__.py`].includes(file.path));
}

function noModule({ files }: FoundSource, module: string, source: string): UsageError {
  const modules = files
    .filter(({ path }) => path.endsWith(".py"))
    .map(({ path }) => path.replace(/(\/__init__)?\.py$/, "").replaceAll("/", "."));
  return new UsageError(
    `${source} has no module "${module}" (it has: ${modules.slice(0, 20).join(", ") || "none"})`,
  );
}
