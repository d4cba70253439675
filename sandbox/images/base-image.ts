/**
 * The base image: a root file system with Node, a shell and its tools, and what they need.
 *
 * Built once per Node version from the Node this agent runs on: its binary, the shared
 * libraries the dynamic linker resolves for it, and the few files that programs expect in
 * `/etc`. Nothing of the host is visible through it.
 */
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { chmod, copyFile, mkdir, readdir, realpath, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Folders that every container expects; mount points among them. */
const FOLDERS = [
  "bin",
  "dev",
  "etc",
  "proc",
  "sys",
  "tmp",
  "usr",
  "var",
  "home",
  "runner",
  "lib64",
];

/** Programs that scripts expect, where this machine has them (dash and coreutils in Debian). */
const TOOLS: readonly string[] = [
  ...["sh", "cat", "cp", "cut", "date", "dirname", "basename", "echo", "env", "expr", "false"],
  ...["find", "grep", "gzip", "head", "id", "ln", "ls", "mkdir", "mktemp", "mv", "printf", "pwd"],
  ...["readlink", "rm", "rmdir", "sed", "seq", "sha256sum", "sleep", "sort", "stat", "tail", "tar"],
  ...["tee", "test", "touch", "tr", "true", "uname", "uniq", "wc", "xargs", "yes", "chmod", "du"],
  ...["stty", "tty"],
];
const TOOL_FOLDERS = ["/bin", "/usr/bin"] as const;

const ETC: Readonly<Record<string, string>> = {
  passwd: "root:x:0:0:root:/:/bin/false\nuser:x:65534:65534:user:/tmp:/bin/false\n",
  group: "root:x:0:\nuser:x:65534:\n",
  hosts: "127.0.0.1 localhost\n",
  "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
};

/** Builds the base image under `dir` if it is not there; gives the path of its root. */
export async function prepareBaseImage(dir: string): Promise<string> {
  return buildOnce(join(dir, `node-${process.versions.node}-${process.arch}-3`), async (root) => {
    const node = await realpath(process.execPath);
    await copyInto(root, node, "/bin/node");
    for (const library of await sharedLibraries([node])) await copyInto(root, library, library);
    await copyTools(root);
  });
}

/**
 * Builds a root file system at `root` if it is not there: what every container expects, and what
 * `fill` adds to the folder that it is given. Several may build it at once.
 */
export async function buildOnce(
  root: string,
  fill: (root: string) => Promise<void>,
): Promise<string> {
  if (await isBuilt(root)) return root;
  const temporary = `${root}.${randomUUID()}`;
  for (const folder of FOLDERS) await mkdir(join(temporary, folder), { recursive: true });
  await fill(temporary);
  for (const [name, text] of Object.entries(ETC)) {
    await writeFile(join(temporary, "etc", name), text, { mode: 0o644 });
  }
  await chmod(join(temporary, "tmp"), 0o1777);
  await rename(temporary, root).catch(async (error: unknown) => {
    // Another agent was faster; its image is the same.
    await rm(temporary, { recursive: true, force: true });
    if (!(await isBuilt(root))) throw error;
  });
  return root;
}

async function isBuilt(root: string): Promise<boolean> {
  try {
    return (await readdir(root)).includes("bin");
  } catch {
    // There is no such folder yet.
    return false;
  }
}

/** Those of the tools that are here, with their libraries, as programs in `/bin`. */
async function copyTools(root: string): Promise<void> {
  const libraries = new Set<string>();
  for (const tool of TOOLS) {
    for (const folder of TOOL_FOLDERS) {
      const source = await realpath(join(folder, tool)).catch(() => undefined);
      if (source === undefined) continue;
      for (const library of await sharedLibraries([source])) libraries.add(library);
      await copyInto(root, source, `/bin/${tool}`);
      break;
    }
  }
  for (const library of libraries) await copyInto(root, library, library);
}

/** Absolute paths of the libraries that `ldd` resolves for programs, the linker included. */
export async function sharedLibraries(programs: readonly string[]): Promise<readonly string[]> {
  const { stdout } = await run("ldd", [...programs]);
  return parseLdd(stdout);
}

/** The library paths in the output of `ldd`. */
export function parseLdd(output: string): readonly string[] {
  const paths = output.split("\n").flatMap((line) => {
    const path = /^\s*(?:\S+ => )?(\/\S+) \(0x[0-9a-f]+\)$/.exec(line)?.[1];
    return path === undefined ? [] : [path];
  });
  return [...new Set(paths)];
}

/** Copies a file to the path `target` of an image, for all to read and run. */
export async function copyInto(root: string, source: string, target: string): Promise<void> {
  const path = join(root, target);
  await mkdir(dirname(path), { recursive: true });
  await copyFile(source, path);
  await chmod(path, 0o755);
}
