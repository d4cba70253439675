/**
 * Whether a machine is fit to run containers, from what was read of it.
 *
 * A fault says that work on this machine fails or crawls. Some hold at once; those that pass by
 * themselves (heat, clocks held down) must be seen on the same part twice in a row. Pure.
 */
import { isSlowedByHardware, type GpuReading } from "./gpu-readings.ts";
import { fatalMeaningOf, type Xid } from "./kernel-log.ts";

/** What was read of a machine at one time. */
export interface MachineReading {
  /** Free on the disk of the agent's folder. */
  readonly freeDiskMiB: number;
  /** Whether a file could be written there. */
  readonly isWritable: boolean;
  /** Absent on a machine without GPUs. */
  readonly gpus?: GpuState;
}

export interface GpuState {
  /** How many there were when the agent started. */
  readonly expectedCount: number;
  /** Absent when nvidia-smi did not answer. */
  readonly readings?: readonly GpuReading[];
  readonly xids: readonly Xid[];
  /** Failures of the last deeper test. */
  readonly diagnosticFailures: readonly string[];
}

/** Texts for people, each naming the part. */
export interface Judgement {
  readonly faults: readonly string[];
  /** Faults only if the next judgement has them too. */
  readonly suspicions: readonly Suspicion[];
}

/** A sign that may pass: the same part twice in a row is a fault. */
export interface Suspicion {
  readonly part: string;
  readonly text: string;
}

/** Below this no container can be started. */
const FREE_DISK_MIB_MIN = 512;

/** Above this a GPU slows itself down. Source: slowdown limits of T4 to H100, 87 to 96 °C. */
const TEMPERATURE_C_MAX = 95;

/** GPUs of one machine differ in memory by less than this, unless one is broken. */
const MEMORY_TOLERANCE_FRACTION = 0.05;

/** Judges one reading. */
export function judge({ freeDiskMiB, isWritable, gpus }: MachineReading): Judgement {
  const disk = [
    ...(isWritable ? [] : ["the agent's folder cannot be written"]),
    ...(freeDiskMiB >= FREE_DISK_MIB_MIN ? [] : [`only ${freeDiskMiB} MiB of disk are free`]),
  ];
  if (gpus === undefined) return { faults: disk, suspicions: [] };
  const { readings, expectedCount, xids, diagnosticFailures } = gpus;
  const seen =
    readings === undefined
      ? ["nvidia-smi does not answer"]
      : [...missingFaults(readings, expectedCount), ...readings.flatMap(readingFaults)];
  return {
    faults: [
      ...disk,
      ...seen,
      ...memoryFaults(readings ?? []),
      ...xidFaults(xids),
      ...diagnosticFailures,
    ],
    suspicions: (readings ?? []).flatMap(suspicionsOf),
  };
}

function missingFaults(readings: readonly GpuReading[], expectedCount: number): readonly string[] {
  if (readings.length >= expectedCount) return [];
  return [`only ${readings.length} of ${expectedCount} GPUs are there`];
}

function readingFaults(reading: GpuReading): readonly string[] {
  const { index, unreadable, driverVersion, uncorrectedErrorCount = 0 } = reading;
  const name = `GPU ${index}`;
  return [
    ...(/^\d/.test(driverVersion) ? [] : [`${name} has no driver (${driverVersion || "nothing"})`]),
    ...(unreadable.length === 0 ? [] : [`${name} cannot be read (${unreadable.join("; ")})`]),
    ...(uncorrectedErrorCount === 0
      ? []
      : [`${name} has ${uncorrectedErrorCount} memory errors that were not corrected`]),
  ];
}

/** A GPU with less memory than its neighbours has lost some. */
function memoryFaults(readings: readonly GpuReading[]): readonly string[] {
  const most = Math.max(0, ...readings.map(({ memoryMiB = 0 }) => memoryMiB));
  return readings.flatMap(({ index, memoryMiB }) => {
    if (memoryMiB === undefined || memoryMiB >= most * (1 - MEMORY_TOLERANCE_FRACTION)) return [];
    return [`GPU ${index} shows ${memoryMiB} MiB of memory where others have ${most}`];
  });
}

function xidFaults(xids: readonly Xid[]): readonly string[] {
  const texts = xids.flatMap(({ device, code }) => {
    const meaning = fatalMeaningOf(code);
    return meaning === undefined ? [] : [`GPU at ${device}: Xid ${code}, ${meaning}`];
  });
  return [...new Set(texts)];
}

function suspicionsOf({ index, temperatureC = 0, slowdownBits = 0 }: GpuReading): Suspicion[] {
  const signs = [
    ...(temperatureC <= TEMPERATURE_C_MAX ? [] : [`is ${temperatureC} °C hot`]),
    ...(isSlowedByHardware(slowdownBits) ? ["slows itself down"] : []),
  ];
  const part = `GPU ${index}`;
  return signs.length === 0 ? [] : [{ part, text: `${part} ${signs.join(" and ")}` }];
}
