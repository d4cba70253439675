/**
 * Python files compiled and the handler looked for, by the `python3` of this machine.
 *
 * Nothing of the user's code runs. Without a `python3`, mistakes show when a container starts.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { hintFor } from "../did-you-mean.ts";
import { UsageError } from "../errors.ts";
import type { ArchivedFile } from "../protocol/index.ts";

interface Wanted {
  /** How the user calls the source. */
  readonly shownRoot: string;
  readonly files: readonly ArchivedFile[];
  /** That of the handler's module. */
  readonly file: ArchivedFile;
  readonly handler: string;
}

/** What the script tells. */
interface Findings {
  readonly version: string;
  /** Of a file that does not compile: where and why. */
  readonly error?: string;
  /** Names in the handler's module; absent when they cannot be known without running it. */
  readonly names?: readonly string[];
}

const SCRIPT = `
import ast, json, platform, sys, traceback
wanted = json.load(sys.stdin)
told = {"version": platform.python_version()}
def names_of(body):
    found = []
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.append(node.name)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found += [each.id for target in targets for each in ast.walk(target)
                      if isinstance(each, ast.Name)]
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            if any(alias.name == "*" for alias in node.names):
                return None
            found += [(alias.asname or alias.name).split(".")[0] for alias in node.names]
        elif not isinstance(node, (ast.Expr, ast.Pass)):
            return None
    return found
try:
    for path, source in wanted["files"]:
        tree = ast.parse(source, path)
        compile(source, path, "exec", dont_inherit=True)
        if path == wanted["file"]:
            names = names_of(tree.body)
            if names is not None:
                told["names"] = names
except (SyntaxError, ValueError) as error:
    told["error"] = "".join(traceback.format_exception_only(type(error), error))
print(json.dumps(told))
`;

/** @throws UsageError when a file does not compile, or its module has no such function. */
export async function checkPython({ shownRoot, files, file, handler }: Wanted): Promise<void> {
  const sources = files.filter(({ path }) => path.endsWith(".py"));
  const decoder = new TextDecoder();
  const findings = await ask({
    file: file.path,
    files: sources.map(({ path, data }) => [path, decoder.decode(data)]),
  });
  if (findings === undefined) return;
  const { version, error, names } = findings;
  if (error !== undefined) {
    throw new UsageError(
      `${shownRoot} does not compile under the Python ${version} of this machine:\n` +
        error.trimEnd(),
    );
  }
  const [name = ""] = handler.split(".");
  if (names === undefined || names.includes(name)) return;
  const own = [...new Set(names)].filter((each) => !each.startsWith("_"));
  throw new UsageError(
    `${file.path} has no "${name}"${hintFor(name, own)} (it has: ${own.join(", ") || "nothing"})`,
  );
}

/** The script's answer; undefined without a Python that can give one. */
async function ask(wanted: object): Promise<Findings | undefined> {
  const python = spawn("python3", ["-I", "-S", "-X", "utf8", "-c", SCRIPT], {
    stdio: ["pipe", "pipe", "ignore"],
  });
  const exited = once(python, "exit");
  // It may end before it has read all, as when it is too old.
  python.stdin.on("error", () => undefined);
  python.stdin.end(JSON.stringify(wanted));
  try {
    const [answer] = await Promise.all([text(python.stdout), exited]);
    return JSON.parse(answer) as Findings;
  } catch {
    // There is no python3 here, or it is Python 2.
    return undefined;
  }
}
