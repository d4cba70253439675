/**
 * The extended attributes that a build step set: read from the files of its layer, where gVisor
 * puts them, and kept beside its tree as those of other layers are.
 *
 * A current gVisor hands `user.*` of files and folders on and refuses all else; release 20221219
 * refuses all. Node cannot read them, so `getfattr` of the package `attr` or a `python3` does.
 */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { systemCodeOf } from "../../../core/index.ts";
import { parseGetfattr, type Xattr } from "../../store/index.ts";
import { keptXattrs, LayerXattrs } from "./layer-xattrs.ts";

const run = promisify(execFile);

type TreeXattrs = ReadonlyMap<string, readonly Xattr[]>;

/** All that are kept have 16 MiB; in base64, and with those that are not. */
const OUTPUT_BYTES_MAX = 64 * 1_024 * 1_024;
const GETFATTR = ["-R", "-P", "-h", "-d", "-m", "^user\\.", "-e", "base64", "."];
/** Prints what `getfattr` prints. */
const PYTHON = `
import base64, os, re, sys
def escaped(text):
    return re.sub(rb"[\\\\\\n\\r=]|[^\\x20-\\x7e]", lambda found: b"\\\\%03o" % found.group()[0], text)
for folder, folders, files in os.walk(b"."):
    for name in [b""] + files:
        path = os.path.normpath(os.path.join(folder, name))
        if os.path.islink(path):
            continue
        names = [each for each in os.listxattr(path) if each.startswith("user.")]
        if names:
            sys.stdout.buffer.write(b"# file: " + escaped(path) + b"\\n")
        for each in names:
            value = base64.b64encode(os.getxattr(path, each))
            sys.stdout.buffer.write(escaped(os.fsencode(each)) + b"=0s" + value + b"\\n")
`;

/**
 * Writes those of what is below `tree` into a file for `LayerXattrs.read`, if there are any.
 *
 * @returns Whether they could be read: there is a program for it here.
 * @throws PlatformError as `LayerXattrs.set` and `keptXattrs`
 */
export async function keepStepXattrs(tree: string, file: string): Promise<boolean> {
  const found = await treeXattrs(tree);
  if (found === undefined) return false;
  const kept = new LayerXattrs();
  for (const [latin, xattrs] of found) {
    const path = textOf(latin);
    const named = xattrs.map(({ name, value }) => ({ name: textOf(name), value }));
    // A name that is no UTF-8 comes as another one.
    if (isStrange(path)) continue;
    const own = named.filter(({ name }) => !isStrange(name));
    kept.set(path === "." ? [] : path.split("/"), keptXattrs(path, own));
  }
  await kept.write(file);
  return true;
}

/** What `getfattr` prints comes as latin1, each byte a character. */
function textOf(latin: string): string {
  return Buffer.from(latin, "latin1").toString();
}

function isStrange(text: string): boolean {
  return text.includes("\uFFFD");
}

async function treeXattrs(tree: string): Promise<TreeXattrs | undefined> {
  const programs = [
    ["getfattr", GETFATTR],
    ["python3", ["-I", "-S", "-c", PYTHON]],
  ] as const;
  for (const [program, args] of programs) {
    try {
      const options = { cwd: tree, encoding: "latin1", maxBuffer: OUTPUT_BYTES_MAX } as const;
      return parseGetfattr((await run(program, args, options)).stdout);
    } catch (error) {
      if (systemCodeOf(error) !== "ENOENT") throw error;
    }
  }
  return undefined;
}
