/** How Python is started as the runner. */
import { access, constants } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { PYTHON_MAIN } from "../runners/python-runner.ts";

/** Python as the system has it; the one that a user's shell finds may be of another kind. */
const SYSTEM_PYTHON = "/usr/bin/python3";

/** Where containers of Python look for programs: their image may be any Linux. */
export const PYTHON_PATH = "/usr/local/bin:/usr/bin:/bin";

/**
 * The Python of this machine: the system's, else the first on the PATH; undefined without any.
 */
export async function findPython(
  path: string = process.env["PATH"] ?? "",
): Promise<string | undefined> {
  const folders = path.split(delimiter).filter((folder) => folder !== "");
  for (const program of [SYSTEM_PYTHON, ...folders.map((folder) => join(folder, "python3"))]) {
    if (await isProgram(program)) return program;
  }
  return undefined;
}

/** What is run: `python` with the runner, nothing of this machine's settings, no files written. */
export function pythonArguments(python: string, runnerDir: string): string[] {
  return [python, "-s", "-E", "-B", "-X", "utf8", join(runnerDir, PYTHON_MAIN)];
}

async function isProgram(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return true;
  } catch {
    // There is none of this name.
    return false;
  }
}
