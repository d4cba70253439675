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

/** Milliseconds that `import everything` takes in a new interpreter. */
export function importMs(root: string): number {
  const startedAtMs = performance.now();
  const run = spawnSync("python3", ["-I", "-S", "-B", "-c", SCRIPT, root], { encoding: "utf8" });
  if (run.status !== 0) throw new Error(`importing from ${root} failed: ${run.stderr}`);
  return performance.now() - startedAtMs;
}

const SCRIPT = "import sys; sys.path.insert(0, sys.argv[1]); import everything";
