/**
 * What an installed runsc can do with GPUs: gVisor's nvproxy.
 *
 * Sources: gvisor.dev, "GPU support" (read 2026-11), and `runsc flags`, `runsc checkpoint -help`
 * and `runsc nvproxy list-supported-drivers` of the release of 2026-07. Releases from 2023-05 on
 * have nvproxy; Debian 12's of 2022-12 has not. The flag that has the kernel of the sandbox call
 * cuda-checkpoint is of 2025.
 */
import { execFile } from "node:child_process";

export interface RunscGpus {
  /** It can give cards to containers. */
  readonly hasNvproxy: boolean;
  /** It has a list of what containers may ask the driver for. */
  readonly hasCapabilities: boolean;
  /** Its checkpoints can save what is on the cards. */
  readonly hasCudaCheckpoint: boolean;
  /** Versions of the driver that it knows; empty when it does not tell. */
  readonly driverVersions: readonly string[];
}

const ASK_MS_MAX = 20_000;

/** What containers may ask the driver for; graphics, video and profiling are not among it. */
export const DRIVER_CAPABILITIES = "compute,utility";

/** Asks a runsc. It cannot fail: one that does not answer can do nothing. */
export async function probeRunscGpus(runsc: string): Promise<RunscGpus> {
  const [flags, checkpointHelp, drivers] = await Promise.all([
    saidBy(runsc, ["flags"]),
    saidBy(runsc, ["checkpoint", "-help"]),
    saidBy(runsc, ["nvproxy", "list-supported-drivers"]),
  ]);
  return {
    hasNvproxy: /^\s*-nvproxy\b(?!-)/m.test(flags),
    hasCapabilities: /^\s*-nvproxy-allowed-driver-capabilities\b/m.test(flags),
    hasCudaCheckpoint: /^\s*-cuda-checkpoint-path\b/m.test(checkpointHelp),
    driverVersions: drivers.split("\n").filter((line) => /^\d+(\.\d+)+$/.test(line.trim())),
  };
}

/** Flags before the command, for a container with cards. */
export function gpuFlagsOf({ hasCapabilities }: RunscGpus): readonly string[] {
  const capabilities = `--nvproxy-allowed-driver-capabilities=${DRIVER_CAPABILITIES}`;
  return ["--nvproxy", ...(hasCapabilities ? [capabilities] : [])];
}

/** All that it says, whatever it ends with: help ends some releases with 128. */
async function saidBy(runsc: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve) => {
    execFile(runsc, [...args], { timeout: ASK_MS_MAX }, (_, stdout, stderr) =>
      resolve(stdout + stderr),
    );
  });
}
