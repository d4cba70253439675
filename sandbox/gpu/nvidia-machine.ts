/**
 * What NVIDIA's driver says of a machine's GPUs in the file system.
 *
 * Cards are numbered as nvidia-smi numbers them, by their place on the bus; the number in a
 * device file's name is the driver's minor number, which may be another.
 * Source: NVIDIA driver README, "The /proc/driver/nvidia file system"; majors from `/proc/devices`
 * (kernel documentation, devices.txt, 195). Both read 2026-11.
 */
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";

/** One GPU. */
export interface NvidiaCard {
  /** As the driver names it, such as `NVIDIA A100-SXM4-80GB`. */
  readonly model: string;
  /** Place on the bus, such as `0000:07:00.0`. */
  readonly busId: string;
  /** The number in its device file's name. */
  readonly minor: number;
}

/** A device file of the machine. */
export interface NvidiaDevice {
  readonly path: string;
  readonly major: number;
  readonly minor: number;
}

export interface NvidiaMachine {
  /** Such as `550.54.15`. */
  readonly driverVersion: string;
  /** By their place on the bus. */
  readonly cards: readonly NvidiaCard[];
  /** Numbers of the kernel's drivers, by which device files are made. */
  readonly majors: { readonly gpu: number; readonly uvm: number };
}

/** Control device's minor number, beside the cards' own (nvidia: nv.h, `NV_CONTROL_DEVICE_MINOR`). */
const CONTROL_MINOR = 255;
const UVM_MINOR = 0;

/**
 * Reads what the driver says; undefined on a machine where it is not loaded.
 *
 * @param root Stands in for the machine's root folder.
 */
export async function readNvidiaMachine(root = "/"): Promise<NvidiaMachine | undefined> {
  const driver = join(root, "proc/driver/nvidia");
  const version = /^NVRM version:.*?\s(\d+(?:\.\d+)+)\s/m.exec(
    await textOf(join(driver, "version")),
  );
  const driverVersion = version?.[1];
  if (driverVersion === undefined) return undefined;
  const gpus = await readdir(join(driver, "gpus")).catch(() => []);
  const read = gpus.map(async (busId) =>
    cardOf(busId, await textOf(join(driver, "gpus", busId, "information"))),
  );
  const cards = (await Promise.all(read)).filter((card) => card !== undefined);
  const devices = await textOf(join(root, "proc/devices"));
  return {
    driverVersion,
    cards: cards.toSorted((one, other) => (one.busId < other.busId ? -1 : 1)),
    majors: {
      gpu: majorOf(devices, /^\s*(\d+)\s+nvidia(?:-frontend)?$/m) ?? 195,
      uvm: majorOf(devices, /^\s*(\d+)\s+nvidia-uvm$/m) ?? 0,
    },
  };
}

/** The device files that a container needs for these cards, and no other card's. */
export function devicesFor(
  { majors }: Pick<NvidiaMachine, "majors">,
  cards: readonly NvidiaCard[],
): readonly NvidiaDevice[] {
  return [
    { path: "/dev/nvidiactl", major: majors.gpu, minor: CONTROL_MINOR },
    { path: "/dev/nvidia-uvm", major: majors.uvm, minor: UVM_MINOR },
    ...cards.map(({ minor }) => ({ path: `/dev/nvidia${minor}`, major: majors.gpu, minor })),
  ];
}

/** Those of the device files that the machine does not have. */
export async function missingDevices(
  devices: readonly NvidiaDevice[],
  root = "/",
): Promise<readonly string[]> {
  const paths = devices.map(({ path }) => path);
  const isThere = await Promise.all(
    paths.map((path) =>
      stat(join(root, path)).then(
        () => true,
        () => false,
      ),
    ),
  );
  return paths.filter((_, position) => isThere[position] === false);
}

function cardOf(busId: string, information: string): NvidiaCard | undefined {
  const model = /^Model:\s*(.+?)\s*$/m.exec(information)?.[1];
  const minor = /^Device Minor:\s*(\d+)\s*$/m.exec(information)?.[1];
  if (model === undefined || minor === undefined) return undefined;
  return { model, busId, minor: Number(minor) };
}

function majorOf(devices: string, line: RegExp): number | undefined {
  const major = line.exec(devices)?.[1];
  return major === undefined ? undefined : Number(major);
}

/** Empty where there is no such file. */
async function textOf(path: string): Promise<string> {
  return readFile(path, "utf8").catch(() => "");
}
