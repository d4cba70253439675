/**
 * The extended attributes of programs (`user.*`) of what is below a folder of this machine.
 *
 * Node has no call for them, so a `python3` reads them. The tree may be hostile and change
 * meanwhile: folders are opened one from another, no link is followed, and what is deeper than a
 * layer may be (256 folders) is passed over.
 */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { PlatformError, systemCodeOf } from "../../core/index.ts";
import { isGivenXattr, type Xattr } from "../store/index.ts";

const run = promisify(execFile);

/** As many as a layer may have, in base64 and with their paths. */
const OUTPUT_BYTES_MAX = 64 * 1_024 * 1_024;
/** A tree that changes can make its reader wait for ever. */
const READ_MS_MAX = 120_000;
const PROGRAM = `
import base64, json, os
def text(data):
    return base64.b64encode(data).decode()
for folder, folders, files, fd in os.fwalk(b".", follow_symlinks=False):
    if folder.count(b"/") >= 256:
        folders.clear()
    for name in [b"."] + files:
        path = b"/proc/self/fd/%d/%s" % (fd, name)
        try:
            names = os.listxattr(path, follow_symlinks=False)
            own = [(each, os.getxattr(path, each, follow_symlinks=False))
                   for each in names if each.startswith("user.")]
        except OSError:
            continue
        if own:
            print(json.dumps([text(os.path.normpath(os.path.join(folder, name))),
                              [[text(os.fsencode(each)), text(value)] for each, value in own]]))
`;
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * The attributes by path, `.` for the folder itself; undefined where there is no `python3`.
 * Paths and names that are no UTF-8 are left out.
 *
 * @throws PlatformError `payload_too_large` when they are more than a layer may have
 */
export async function readUserXattrs(
  dir: string,
): Promise<ReadonlyMap<string, readonly Xattr[]> | undefined> {
  const found = new Map<string, readonly Xattr[]>();
  for (const line of (await printed(dir))?.split("\n") ?? []) {
    if (line === "") continue;
    const [path, all] = JSON.parse(line) as readonly [string, readonly [string, string][]];
    const xattrs = all.flatMap(([encoded, value]) => {
      const name = textOf(encoded);
      const isKept = name !== undefined && isGivenXattr(name);
      return isKept ? [{ name, value: Buffer.from(value, "base64") }] : [];
    });
    const shown = textOf(path);
    if (shown !== undefined && xattrs.length > 0) found.set(shown, xattrs);
  }
  return found;
}

async function printed(dir: string): Promise<string | undefined> {
  const options = { cwd: dir, maxBuffer: OUTPUT_BYTES_MAX, timeout: READ_MS_MAX } as const;
  try {
    return (await run("python3", ["-I", "-S", "-c", PROGRAM], options)).stdout;
  } catch (error) {
    const code = systemCodeOf(error);
    if (code === "ENOENT") return undefined;
    if (code !== "ERR_CHILD_PROCESS_STDIO_MAXBUFFER") throw error;
    const message = `the extended attributes have more than ${OUTPUT_BYTES_MAX} bytes`;
    throw new PlatformError(message, { code: "payload_too_large", retryable: false });
  }
}

function textOf(base64: string): string | undefined {
  try {
    return strict.decode(Buffer.from(base64, "base64"));
  } catch {
    // It is no UTF-8, and would come as another name.
    return undefined;
  }
}
