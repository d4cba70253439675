/** Images of gVisor sandboxes' memory: how `runsc` is asked for one, and what it depends on. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, readFile } from "node:fs/promises";
import { arch, release } from "node:os";
import { promisify } from "node:util";
import { messageOf, PlatformError } from "../../core/index.ts";

const run = promisify(execFile);

/** Longest that writing an image may take; 50 GB/min is what the slowest disks do. */
const SAVE_MS_MAX = 120_000;

/** How runsc is called. */
export interface RunscCall {
  readonly runsc: string;
  readonly globalFlags: readonly string[];
  readonly env: NodeJS.ProcessEnv;
}

/**
 * Writes an image of a sandbox's memory; the sandbox ends by it.
 *
 * @throws PlatformError `unavailable` with what runsc said.
 */
export async function saveImage(
  { runsc, globalFlags, env }: RunscCall,
  containerId: string,
  imageDir: string,
): Promise<void> {
  await mkdir(imageDir, { recursive: true, mode: 0o700 });
  const args = [...globalFlags, "checkpoint", `--image-path=${imageDir}`, containerId];
  try {
    await run(runsc, args, { env, timeout: SAVE_MS_MAX });
  } catch (error) {
    throw new PlatformError(
      `the memory of container ${containerId} could not be written to ${imageDir}: ` +
        messageOf(error),
      { code: "unavailable", retryable: false, cause: error },
    );
  }
}

/**
 * One text for all that an image depends on beside its content: the version of runsc, the
 * processor's architecture and features, and the kernel, whose system calls the guest has seen.
 *
 * @throws PlatformError `unavailable` when runsc cannot be run.
 */
export async function imageFingerprint(runsc: string): Promise<string> {
  try {
    const [{ stdout: version }, processor] = await Promise.all([
      run(runsc, ["--version"]),
      readFile("/proc/cpuinfo", "utf8"),
    ]);
    const parts = [version.trim(), arch(), release(), ...processorOf(processor)];
    return createHash("sha256").update(parts.join("\n")).digest("hex");
  } catch (error) {
    throw new PlatformError(`cannot ask ${runsc} for its version: ${messageOf(error)}`, {
      code: "unavailable",
      retryable: false,
      cause: error,
    });
  }
}

/** What of `/proc/cpuinfo` a guest may depend on, sorted: the first processor's features. */
export function processorOf(cpuinfo: string): readonly string[] {
  const features = /^(?:flags|Features)\s*:\s*(.*)$/m.exec(cpuinfo)?.[1] ?? "";
  return [...new Set(features.split(" ").filter(Boolean))].sort();
}
