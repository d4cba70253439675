/** The folder where this machine's user keeps what the SDK finds by itself. */
import { UsageError } from "../errors.ts";

/** FLOTILLA_HOME, or `~/.flotilla`. */
export async function homeDir(env: Readonly<Record<string, string | undefined>>): Promise<string> {
  const { homedir } = await import("node:os");
  return env["FLOTILLA_HOME"] ?? `${homedir()}/.flotilla`;
}

/** The text of a file; undefined where there is none. @throws UsageError for one that cannot be read */
export async function readIfThere(path: string): Promise<string | undefined> {
  const { readFile } = await import("node:fs/promises");
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (isErrorWithCode(error) && error.code === "ENOENT") return undefined;
    throw new UsageError(`cannot read ${path}: ${String(error)}`);
  }
}

function isErrorWithCode(error: unknown): error is Error & { readonly code: unknown } {
  return error instanceof Error && "code" in error;
}
