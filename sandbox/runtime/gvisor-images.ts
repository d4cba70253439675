/** Images of gVisor sandboxes' memory: how `runsc` is asked for one, and what it depends on. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, readFile } from "node:fs/promises";
import { arch, release } from "node:os";
import { promisify } from "node:util";
import { messageOf, PlatformError } from "../../core/index.ts";
import { makePlain, type SavedImage } from "./plain-image.ts";
import type { ImageTraits } from "./runtime.ts";

const run = promisify(execFile);

/** Longest that writing an image may take; 50 GB/min is what the slowest disks do. */
const SAVE_MS_MAX = 120_000;

/** A runsc that fails says all that its goroutines did. */
const SAID_CHARACTERS_MAX = 500;

/** How runsc is called. */
export interface RunscCall {
  readonly runsc: string;
  readonly globalFlags: readonly string[];
  readonly env: NodeJS.ProcessEnv;
}

/**
 * Writes an image of a sandbox's memory, uncompressed whatever runsc makes of it; the sandbox
 * ends by it.
 *
 * @throws PlatformError `unavailable` with what runsc said.
 */
export async function saveImage(
  { runsc, globalFlags, env }: RunscCall,
  { containerId, flags = [] }: { readonly containerId: string; readonly flags?: readonly string[] },
  imageDir: string,
): Promise<SavedImage> {
  await mkdir(imageDir, { recursive: true, mode: 0o700 });
  try {
    const plain = plainFlags(await helpOf(runsc, "checkpoint"));
    const ours = [`--image-path=${imageDir}`, ...plain, ...flags];
    const args = [...globalFlags, "checkpoint", ...ours, containerId];
    await run(runsc, args, { env, timeout: SAVE_MS_MAX });
  } catch (error) {
    throw new PlatformError(
      `the memory of container ${containerId} could not be written to ${imageDir}: ` +
        messageOf(error).slice(0, SAID_CHARACTERS_MAX),
      { code: "unavailable", retryable: false },
    );
  }
  return makePlain(imageDir);
}

/**
 * What the images of this runsc on this machine are like. They depend on the version of runsc,
 * the processor's architecture and features, and the kernel, whose system calls the guest has
 * seen.
 *
 * @throws PlatformError `unavailable` when runsc cannot be run.
 */
export async function probeImages(runsc: string): Promise<ImageTraits> {
  try {
    const [{ stdout: version }, help, cpuinfo] = await Promise.all([
      run(runsc, ["--version"]),
      helpOf(runsc, "checkpoint"),
      readFile("/proc/cpuinfo", "utf8"),
    ]);
    const parts = [version.trim(), help, arch(), release(), ...processorOf(cpuinfo)];
    return {
      fingerprint: createHash("sha256").update(parts.join("\n")).digest("hex"),
      restoredAreDeaf: areRestoredDeaf(help),
    };
  } catch (error) {
    throw new PlatformError(`cannot ask ${runsc} what it can do: ${messageOf(error)}`, {
      code: "unavailable",
      retryable: false,
      cause: error,
    });
  }
}

/**
 * Whether what a runsc restores is not told of what comes over a socket that it had. So it is
 * with release 20221219, and not with those that write images uncompressed (both measured
 * 2026-11).
 */
function areRestoredDeaf(checkpointHelp: string): boolean {
  return !canBePlain(checkpointHelp);
}

/** How a runsc is told to write images uncompressed, where it can be: some compress unless told. */
function plainFlags(checkpointHelp: string): readonly string[] {
  return canBePlain(checkpointHelp) ? ["--compression=none"] : [];
}

function canBePlain(checkpointHelp: string): boolean {
  return /^\s*-compression\b/m.test(checkpointHelp);
}

/** What a command of runsc says of its flags; newer ones say it with an exit code of 128. */
async function helpOf(runsc: string, command: string): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(runsc, [command, "-help"], (error, stdout, stderr) => {
      const text = stdout + stderr;
      if (text !== "") resolve(text);
      else reject(error ?? new Error(`runsc ${command} -help says nothing`));
    });
  });
}

/** What of `/proc/cpuinfo` a guest may depend on, sorted: the first processor's features. */
export function processorOf(cpuinfo: string): readonly string[] {
  const features = /^(?:flags|Features)\s*:\s*(.*)$/m.exec(cpuinfo)?.[1] ?? "";
  return [...new Set(features.split(" ").filter(Boolean))].sort();
}
