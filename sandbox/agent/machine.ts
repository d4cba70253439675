/** What this machine has: cores, memory, and GPUs as its driver tells them. */
import { execFile } from "node:child_process";
import { availableParallelism, totalmem } from "node:os";
import { promisify } from "node:util";
import { GPU_TYPES, type GpuType, type Resources } from "../../core/index.ts";

const run = promisify(execFile);
const MIB = 1024 * 1024;
/** Memory left to the machine itself. */
const RESERVED_MEMORY_FRACTION = 0.1;
const NVIDIA_SMI_MS_MAX = 10_000;

export interface MachineGpus {
  readonly gpuType: GpuType;
  readonly gpuCount: number;
}

/** Cores and memory that containers may have on this machine; without GPUs. */
export function machineResources(): Resources {
  return {
    gpuCount: 0,
    cpuMilli: availableParallelism() * 1_000,
    memoryMiB: Math.floor((totalmem() / MIB) * (1 - RESERVED_MEMORY_FRACTION)),
  };
}

/** The machine's GPUs; undefined when it has none, or of a type that the platform does not know. */
export async function detectGpus(): Promise<MachineGpus | undefined> {
  try {
    const { stdout } = await run("nvidia-smi", ["--query-gpu=name", "--format=csv,noheader"], {
      timeout: NVIDIA_SMI_MS_MAX,
    });
    return parseGpuNames(stdout);
  } catch {
    // No driver, no GPU that could be used.
    return undefined;
  }
}

/** The GPUs in nvidia-smi's list of names, such as `NVIDIA A100-SXM4-80GB`, one a line. */
export function parseGpuNames(output: string): MachineGpus | undefined {
  const names = output.split("\n").filter((line) => line.trim() !== "");
  const [first] = names;
  const gpuType = first === undefined ? undefined : gpuTypeOf(first);
  if (gpuType === undefined) return undefined;
  return { gpuType, gpuCount: names.filter((name) => gpuTypeOf(name) === gpuType).length };
}

/** Emulated GPUs as declared, such as `H100:8`; undefined when the text is none. */
export function parseEmulatedGpus(declared: string): MachineGpus | undefined {
  const [name = "", count = "1", ...rest] = declared.split(":");
  const gpuType = GPU_TYPES.find((type) => type === name);
  const gpuCount = Number(count);
  const valid = rest.length === 0 && /^\d+$/.test(count) && gpuCount >= 1 && gpuCount <= 16;
  return gpuType === undefined || !valid ? undefined : { gpuType, gpuCount };
}

/** Longest name first, so that an L40S is not taken for an L4. */
const BY_LENGTH = [...GPU_TYPES].sort((a, b) => b.length - a.length);

/** The kind of GPU that the driver names so; undefined for one that the platform does not know. */
export function gpuTypeOf(name: string): GpuType | undefined {
  const words = name.toUpperCase().replaceAll(/[\s-]+/g, "-");
  if (/(^|-)A100X?(-|$)/.test(words)) return words.includes("80GB") ? "A100-80GB" : "A100-40GB";
  return BY_LENGTH.find((type) => new RegExp(`(^|-)${type}(G)?(-|$)`).test(words));
}
