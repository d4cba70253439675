/**
 * What nvidia-smi says of each GPU, one line of comma-separated values each.
 *
 * Source of the field names and of the bits: `nvidia-smi --help-query-gpu` and NVML's
 * nvmlClocksEventReasons (docs.nvidia.com/deploy/nvml-api, read 2026-11).
 */

/** Fields asked for, in order. */
const FIELDS = [
  "index",
  "driver_version",
  "memory.total",
  "temperature.gpu",
  "clocks.sm",
  "clocks_throttle_reasons.active",
  "ecc.errors.uncorrected.volatile.total",
] as const;

/** Arguments of nvidia-smi for `parseGpuReadings`. */
export const GPU_READING_ARGS: readonly string[] = [
  `--query-gpu=${FIELDS.join(",")}`,
  "--format=csv,noheader,nounits",
];

/** One GPU; what its driver does not support is absent. */
export interface GpuReading {
  readonly index: number;
  readonly driverVersion: string;
  readonly memoryMiB?: number;
  readonly temperatureC?: number;
  readonly clockMhz?: number;
  /** Bits of NVML's reasons to clock down; see `isSlowedByHardware`. */
  readonly slowdownBits?: number;
  /** Memory errors that could not be corrected since the driver was loaded. */
  readonly uncorrectedErrorCount?: number;
  /** Fields that the driver could not read though it should, such as `GPU is lost`. */
  readonly unreadable: readonly string[];
}

/** The GPUs in nvidia-smi's answer; lines that are none are left out. */
export function parseGpuReadings(output: string): readonly GpuReading[] {
  return output.split("\n").flatMap((line) => {
    const cells = line.split(",").map((cell) => cell.trim());
    const index = Number(cells[0]);
    if (cells.length !== FIELDS.length || cells[0] === "" || !Number.isInteger(index)) return [];
    return [readingOf(index, cells)];
  });
}

const HW_SLOWDOWN = 0x8;
const HW_THERMAL_SLOWDOWN = 0x40;
const HW_POWER_BRAKE = 0x80;

/** Whether the hardware itself halves the clocks: too hot, or too little power. */
export function isSlowedByHardware(slowdownBits: number): boolean {
  return (slowdownBits & (HW_SLOWDOWN | HW_THERMAL_SLOWDOWN | HW_POWER_BRAKE)) !== 0;
}

/** What a driver says of a field that the GPU does not have. */
const UNSUPPORTED = new Set(["[N/A]", "N/A", "[Not Supported]", "Not Supported"]);

function readingOf(index: number, cells: readonly string[]): GpuReading {
  const [, driverVersion = "", memory, temperature, clock, slowdown, errors] = cells;
  const numbers = {
    memoryMiB: numberIn(memory),
    temperatureC: numberIn(temperature),
    clockMhz: numberIn(clock),
    slowdownBits: numberIn(slowdown),
    uncorrectedErrorCount: numberIn(errors),
  };
  const known = Object.entries(numbers).filter(([, value]) => value !== undefined);
  const unreadable = cells.flatMap((cell, position) => {
    if (position < 2 || UNSUPPORTED.has(cell) || numberIn(cell) !== undefined) return [];
    return [`${FIELDS[position] ?? "a field"}: ${cell}`];
  });
  return { index, driverVersion, ...Object.fromEntries(known), unreadable };
}

/** Decimal or `0x` hexadecimal. */
function numberIn(cell: string | undefined): number | undefined {
  if (cell === undefined || !/^(\d+(\.\d+)?|0x[0-9a-f]+)$/i.test(cell)) return undefined;
  return Number(cell);
}
