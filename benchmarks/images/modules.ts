/** A tree of many small Python modules, compiled, and how long importing all of them takes. */
import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export const MODULE_COUNT = 3_000;
const PACKAGES = 30;

/** Writes the modules; says whether Python could compile them. */
export function writeModules(root: string): boolean {
  for (let number = 0; number < MODULE_COUNT; number += 1) {
    const dir = join(root, `package_${number % PACKAGES}`);
    mkdirSync(dir, { recursive: true });
    const lines = [`VALUE = ${number}`, "", "def answer(x):", `    """Adds ${number}."""`];
    writeFileSync(
      join(dir, `module_${number}.py`),
      [...lines, `    return x + ${number}`, ""].join("\n"),
    );
  }
  const names = Array.from({ length: MODULE_COUNT }, (_, number) => {
    return `import package_${number % PACKAGES}.module_${number}`;
  });
  writeFileSync(join(root, "everything.py"), names.join("\n"));
  const args = ["-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", root];
  return spawnSync("python3", args).status === 0;
}

/** How the files of modules are opened; see `importMs`. */
export type Opening = "as_in_containers" | "as_outside";

/** The program that `python3` ends in: what chooses among versions takes longer than an import. */
export function interpreter(): string {
  const script = "import sys; print(sys.executable)";
  return spawnSync("python3", ["-c", script], { encoding: "utf8" }).stdout.trim();
}

/**
 * Milliseconds that `import everything` takes in a new interpreter.
 *
 * CPython asks of every module's file whether it is a terminal. In a container gVisor answers
 * that by itself, and the mount hears nothing of it (counted: 3,000 modules, no IOCTL). Outside of
 * one the mount is asked, and FUSE has no way to be asked once; so `as_in_containers` opens
 * files without that question, wherever they lie.
 */
export function importMs(python: string, root: string, opening: Opening): number {
  const script = opening === "as_outside" ? IMPORT : `${WITHOUT_TERMINALS}; ${IMPORT}`;
  const startedAtMs = performance.now();
  const run = spawnSync(python, ["-I", "-S", "-B", "-c", script, root], { encoding: "utf8" });
  if (run.status !== 0) throw new Error(`importing from ${root} failed: ${run.stderr}`);
  return performance.now() - startedAtMs;
}

const IMPORT = "import sys; sys.path.insert(0, sys.argv[1]); import everything";
const WITHOUT_TERMINALS = "import _io; _io.open_code = lambda path: _io.FileIO(path, 'r')";
