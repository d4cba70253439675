/**
 * The base image of Python functions: a root file system with the Python of this machine, its
 * standard library, and the libraries that wheels may count on.
 *
 * Built once per Python version, where a Python function first starts. Packages are not in it:
 * a function that needs some has an image of its own.
 */
import { execFile } from "node:child_process";
import { cp, mkdir, readdir, symlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { promisify } from "node:util";
import { PlatformError } from "../../core/index.ts";
import { findPython } from "../runtime/python-launch.ts";
import { buildOnce, copyInto, sharedLibraries } from "./base-image.ts";

const run = promisify(execFile);

/** What it says about itself. */
interface PythonFacts {
  readonly version: string;
  /** The program itself, behind all links. */
  readonly executable: string;
  /** Folders of the standard library; one below the other or the same. */
  readonly libraries: readonly string[];
}

const ASK = `
import json, os, platform, sys, sysconfig
paths = sysconfig.get_paths(vars={"installed_base": sys.base_prefix, "base": sys.base_prefix,
                                  "installed_platbase": sys.base_exec_prefix})
print(json.dumps({
    "version": platform.python_version(),
    "executable": os.path.realpath(getattr(sys, "_base_executable", sys.executable)),
    "libraries": sorted({paths["stdlib"], paths["platstdlib"]}),
}))`;

/** Parts of the standard library that no function needs: tests, windows, installers. */
const LEFT_OUT =
  /\/(test|tests|idlelib|idle_test|tkinter|turtledemo|ensurepip|lib2to3|(dist|site)-packages|config-[^/]*|_sysconfigdata__[^/]*win[^/]*)$/;

/**
 * Libraries that wheels may use without bringing them.
 * Source: PEP 599 and PEP 600 (manylinux), read 2026-11; those of them that need no display.
 */
const WHEEL_LIBRARIES =
  /\/(libstdc\+\+|libgcc_s|libm|libdl|librt|libpthread|libutil|libnsl|libresolv|libz|libexpat|libc)\.so\.\d+$/;

/** Images that are being built or are built by this process, by their folder. */
const building = new Map<string, Promise<string>>();

/**
 * Builds the image under `dir` if it is not there; gives the path of its root. Several who ask
 * at once cause one build; after one that failed the next who asks tries again.
 *
 * @throws PlatformError `unavailable` on a machine without Python.
 */
export async function preparePythonImage(dir: string): Promise<string> {
  const known = building.get(dir) ?? buildPythonImage(dir);
  building.set(dir, known);
  try {
    return await known;
  } catch (error) {
    building.delete(dir);
    throw error;
  }
}

async function buildPythonImage(dir: string): Promise<string> {
  const python = await findPython();
  if (python === undefined) {
    throw new PlatformError(
      'this machine has no python3, which functions with runtime: "python" need; ' +
        "install it (Debian: apt-get install python3), or give the function an image",
      { code: "unavailable", retryable: false },
    );
  }
  const facts = await askPython(python);
  const root = join(dir, `python-${facts.version}-${process.arch}-1`);
  return buildOnce(root, (into) => fill(into, facts));
}

async function askPython(python: string): Promise<PythonFacts> {
  const { stdout } = await run(python, ["-I", "-S", "-c", ASK]);
  return JSON.parse(stdout) as PythonFacts;
}

async function fill(root: string, { executable, libraries }: PythonFacts): Promise<void> {
  await copyInto(root, executable, executable);
  await linkTo(root, executable, "/bin/python3");
  if (executable !== "/usr/bin/python3") await linkTo(root, executable, "/usr/bin/python3");
  for (const library of libraries) {
    await cp(library, join(root, library), {
      recursive: true,
      // The compiled files beside the sources are good for as long as the sources' times are.
      preserveTimestamps: true,
      dereference: true,
      filter: (source) => !LEFT_OUT.test(source),
    });
  }
  const modules = await nativeModules(libraries);
  const needed = await sharedLibraries([executable, ...modules]);
  for (const file of new Set([...needed, ...(await wheelLibraries())])) {
    await copyInto(root, file, file);
  }
}

async function linkTo(root: string, target: string, link: string): Promise<void> {
  await mkdir(join(root, dirname(link)), { recursive: true });
  await symlink(target, join(root, link));
}

/** Extension modules of the standard library: they have libraries of their own. */
async function nativeModules(libraries: readonly string[]): Promise<readonly string[]> {
  const folders = libraries.map((library) => join(library, "lib-dynload"));
  const found = await Promise.all(
    folders.map(async (folder) => {
      const names = await readdir(folder).catch(() => []);
      return names.filter((name) => name.endsWith(".so")).map((name) => join(folder, name));
    }),
  );
  return found.flat();
}

/** Those of the linker's cache that wheels may use, for this machine's own kind of program. */
async function wheelLibraries(): Promise<readonly string[]> {
  const { stdout } = await run("/sbin/ldconfig", ["-p"]).catch(() => ({ stdout: "" }));
  const paths = stdout.split("\n").flatMap((line) => / => (\/\S+)$/.exec(line)?.[1] ?? []);
  const known = paths.filter((path) => WHEEL_LIBRARIES.test(path) && !/lib(32|x32)\//.test(path));
  const byName = new Map(known.reverse().map((path) => [basename(path), path]));
  return [...byName.values()];
}
