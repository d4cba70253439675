/** How the checks reach the machine: its programs and its disk. */
import { execFile } from "node:child_process";
import { rm, statfs, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { RunCommand } from "./health-watch.ts";

const execute = promisify(execFile);
const OUTPUT_BYTES_MAX = 16 * 1024 * 1024;
const BYTES_PER_MIB = 1024 * 1024;

/** Runs a program; `dcgmi diag` ends with an error when a test fails, and its output counts. */
export const runCommand: RunCommand = async (command, args, timeoutMs) => {
  const options = { timeout: timeoutMs, maxBuffer: OUTPUT_BYTES_MAX };
  try {
    return (await execute(command, [...args], options)).stdout;
  } catch (error) {
    // Missing, not allowed, or failed: what it still said is judged, and nothing else.
    const said = error instanceof Error && "stdout" in error ? error.stdout : undefined;
    return command === "dcgmi" && typeof said === "string" ? said : undefined;
  }
};

/** Free space under a folder, and whether a file can be written there. */
export async function readDisk(
  dir: string,
): Promise<{ readonly freeDiskMiB: number; readonly isWritable: boolean }> {
  const { bavail, bsize } = await statfs(dir);
  return {
    freeDiskMiB: Math.floor((bavail * bsize) / BYTES_PER_MIB),
    isWritable: await canWrite(dir),
  };
}

async function canWrite(dir: string): Promise<boolean> {
  const file = join(dir, "health-check");
  try {
    await writeFile(file, "writable\n");
    await rm(file);
    return true;
  } catch {
    // A read-only or broken disk is what this is to find out.
    return false;
  }
}
