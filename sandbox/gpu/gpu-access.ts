/**
 * How containers under gVisor get the real cards of a machine: gVisor's nvproxy, the device files
 * of their own cards, and the driver's libraries.
 */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { assert, messageOf } from "../../core/index.ts";
import { gpuTypeOf } from "../agent/machine.ts";
import type { ImageTraits } from "../runtime/runtime.ts";
import {
  CUDA_CHECKPOINT,
  DRIVER_PROGRAMS,
  findProgram,
  prepareDriverFiles,
  type DriverFiles,
} from "./driver-files.ts";
import {
  devicesFor,
  missingDevices,
  readNvidiaMachine,
  type NvidiaCard,
  type NvidiaDevice,
  type NvidiaMachine,
} from "./nvidia-machine.ts";
import { gpuFlagsOf, probeRunscGpus, type RunscGpus } from "./runsc-gpus.ts";

/** What a runtime needs to give cards to containers. */
export interface GpuAccess {
  /** Flags of runsc for containers with cards. */
  readonly flags: readonly string[];
  /** Folder of the driver's files. */
  readonly driverDir: string;
  /** Device files of these cards of the node. */
  readonly devices: (cards: readonly number[]) => readonly NvidiaDevice[];
  /** Whether what is on cards can be kept in images of memory, and what these then depend on. */
  readonly images: NonNullable<ImageTraits["gpus"]>;
  /** Flags of `runsc checkpoint` for containers with cards. */
  readonly saveFlags: readonly string[];
}

export type OpenedGpus =
  | { readonly kind: "usable"; readonly access: GpuAccess }
  /** One sentence for operators. */
  | { readonly kind: "unusable"; readonly reason: string };

export interface GpuAccessOptions {
  /** Kind of the cards that the node offers, and how many. */
  readonly gpuType: string;
  readonly gpuCount: number;
  /** Folder of the driver's files, which agents of one machine may share. */
  readonly dir: string;
  readonly runsc?: string;
  /** Stands in for the machine's root folder. */
  readonly root?: string;
  /** Where programs are looked for, and the program that lists libraries. */
  readonly path?: string;
  readonly ldconfig?: string;
}

const run = promisify(execFile);
const MODPROBE_MS_MAX = 30_000;

/** Finds out whether containers can have the machine's cards, and how. */
export async function openGpus(options: GpuAccessOptions): Promise<OpenedGpus> {
  const { gpuType, gpuCount, dir, runsc = "runsc", root = "/" } = options;
  const [found, can] = await Promise.all([readNvidiaMachine(root), probeRunscGpus(runsc)]);
  if (found === undefined) return unusable("the NVIDIA driver is not loaded (modprobe nvidia)");
  const cards = found.cards.filter(({ model }) => gpuTypeOf(model) === gpuType);
  const reason =
    runscFaultOf(can, found.driverVersion) ?? (await deviceFaultOf(found, cards, gpuCount, root));
  if (reason !== undefined) return unusable(reason);
  try {
    // Read again: a module that was loaded meanwhile has its number only now.
    const machine = (await readNvidiaMachine(root)) ?? found;
    const files = await prepareDriverFiles(dir, machine.driverVersion, options);
    return { kind: "usable", access: accessOf({ machine, cards, can, files }) };
  } catch (error) {
    return unusable(messageOf(error));
  }
}

/** What is known of a machine's cards without changing anything. */
export interface GpuExamination {
  readonly driverVersion: string;
  /** Why containers under gVisor cannot have them, and what to do; absent when they can. */
  readonly fault?: string;
  /** Why what is on them is in no memory snapshot; absent when it is. */
  readonly lost?: string;
}

/** Looks at a machine as `openGpus` does; undefined where the driver is not loaded. */
export async function examineGpus({
  runsc = "runsc",
  root = "/",
  path = process.env["PATH"] ?? "",
}: Pick<GpuAccessOptions, "runsc" | "root" | "path"> = {}): Promise<GpuExamination | undefined> {
  const [machine, can] = await Promise.all([readNvidiaMachine(root), probeRunscGpus(runsc)]);
  if (machine === undefined) return undefined;
  const { driverVersion } = machine;
  const missing = await missingDevices(devicesFor(machine, machine.cards), root);
  const fault = runscFaultOf(can, driverVersion) ?? missingFaultOf(missing);
  const hasProgram = (await findProgram(CUDA_CHECKPOINT, path)) !== undefined;
  const lost = lostReasonOf(can, hasProgram);
  return { driverVersion, ...(fault && { fault }), ...(lost && { lost }) };
}

/** Why a runsc cannot give cards of this driver; undefined when it can. */
export function runscFaultOf(
  { hasNvproxy, driverVersions }: RunscGpus,
  driverVersion: string,
): string | undefined {
  if (!hasNvproxy) {
    return "the installed runsc has no nvproxy; scripts/build-runsc.sh builds one that has";
  }
  if (driverVersions.length === 0 || driverVersions.includes(driverVersion)) return undefined;
  const newest = driverVersions.at(-1) ?? "none";
  return (
    `the installed runsc does not know driver ${driverVersion} (it knows ` +
    `${driverVersions.length}, the last one ${newest}); install a driver of ` +
    "`runsc nvproxy list-supported-drivers`, or a newer runsc"
  );
}

async function deviceFaultOf(
  machine: NvidiaMachine,
  cards: readonly NvidiaCard[],
  gpuCount: number,
  root: string,
): Promise<string | undefined> {
  if (cards.length < gpuCount) {
    return `the driver has ${cards.length} of the ${gpuCount} cards that the node offers`;
  }
  const devices = devicesFor(machine, cards);
  let missing = await missingDevices(devices, root);
  if (missing.length === 0) return undefined;
  // As NVIDIA's container tools do: the module of unified memory is loaded when first needed.
  await run("nvidia-modprobe", ["-c0", "-u"], { timeout: MODPROBE_MS_MAX }).catch(() => undefined);
  missing = await missingDevices(devices, root);
  return missingFaultOf(missing);
}

function missingFaultOf(devices: readonly string[]): string | undefined {
  if (devices.length === 0) return undefined;
  return `${devices.join(", ")} is missing (nvidia-modprobe -c0 -u makes it)`;
}

/** Why what is on cards cannot be kept; undefined when it can. */
function lostReasonOf({ hasCudaCheckpoint }: RunscGpus, hasProgram: boolean): string | undefined {
  if (hasCudaCheckpoint && hasProgram) return undefined;
  return hasCudaCheckpoint
    ? "cuda-checkpoint is not installed (github.com/NVIDIA/cuda-checkpoint)"
    : "the installed runsc cannot call cuda-checkpoint; scripts/build-runsc.sh builds one that can";
}

function accessOf({
  machine,
  cards,
  can,
  files,
}: {
  readonly machine: NvidiaMachine;
  readonly cards: readonly NvidiaCard[];
  readonly can: RunscGpus;
  readonly files: DriverFiles;
}): GpuAccess {
  const lost = lostReasonOf(can, files.hasCudaCheckpoint);
  const models = [...new Set(cards.map(({ model }) => model))].sort();
  return {
    flags: gpuFlagsOf(can),
    driverDir: files.dir,
    devices: (wanted) => {
      const given = wanted.map((card) => cards[card]).filter((card) => card !== undefined);
      assert(given.length === wanted.length, "a container gets cards that the node has");
      return devicesFor(machine, given);
    },
    images:
      lost === undefined
        ? { kind: "kept", fingerprint: [machine.driverVersion, ...models].join("\n") }
        : { kind: "lost", reason: `what is on a card cannot be kept: ${lost}` },
    saveFlags:
      lost === undefined ? [`--cuda-checkpoint-path=${DRIVER_PROGRAMS}/${CUDA_CHECKPOINT}`] : [],
  };
}

function unusable(reason: string): OpenedGpus {
  return { kind: "unusable", reason };
}
