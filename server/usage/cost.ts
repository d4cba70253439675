/**
 * What a container's time is and costs, to the millisecond, in whole micro-dollars.
 *
 * Each amount is the difference of two sums from the container's start, each rounded down:
 *
 *     amount(from, to) = floor(rate * (to - start)) - floor(rate * (from - start))
 *
 * So the amounts of times that follow each other add up to that of the whole, exactly, however a
 * container's time is cut into hours, days and months; the test holds that. Whole numbers only.
 */
import type { MicroUsd } from "../../core/index.ts";

/** Prices per hour; GPUs by their type. */
export interface UnitRates {
  readonly cpuMicroUsdPerCoreHour: MicroUsd;
  readonly memoryMicroUsdPerGiBHour: MicroUsd;
  /** Of one GPU of the container's type; 0 without one. */
  readonly gpuMicroUsdPerHour: MicroUsd;
}

/** What a container holds from its start to its end, and what that costs. */
export interface HeldResources {
  readonly startedAtMs: number;
  /** Thousandths of a core that are reserved for it. */
  readonly cpuMilli: number;
  readonly memoryMiB: number;
  /** Thousandths of a GPU; 0 without one. */
  readonly gpuMilli: number;
  readonly rates: UnitRates;
}

/** Amounts of use; whole numbers. */
export interface UsageAmounts {
  readonly containerMs: number;
  /** Core-milliseconds that were reserved, or used where that is more. */
  readonly cpuMs: number;
  /** MiB-seconds that were reserved, or used where that is more. */
  readonly memoryMiBSeconds: number;
  /** GPU-milliseconds, shares counted as such. */
  readonly gpuMs: number;
  readonly cpuMicroUsd: MicroUsd;
  readonly memoryMicroUsd: MicroUsd;
  readonly gpuMicroUsd: MicroUsd;
}

export const NO_USE: UsageAmounts = {
  containerMs: 0,
  cpuMs: 0,
  memoryMiBSeconds: 0,
  gpuMs: 0,
  cpuMicroUsd: 0,
  memoryMicroUsd: 0,
  gpuMicroUsd: 0,
};

const MS_PER_HOUR = 3_600_000n;
const SECONDS_PER_HOUR = 3_600n;
const MIB_PER_GIB = 1_024n;

/** What a container used in a time; nothing of it before its start. */
export function amountsOf(held: HeldResources, fromMs: number, toMs: number): UsageAmounts {
  const { startedAtMs, cpuMilli, memoryMiB, gpuMilli, rates } = held;
  const from = BigInt(Math.max(0, Math.round(fromMs - startedAtMs)));
  const to = BigInt(Math.max(Number(from), Math.round(toMs - startedAtMs)));
  const between = (factor: bigint, divisor: bigint): number =>
    Number((to * factor) / divisor - (from * factor) / divisor);
  const [cpu, memory, gpu] = [cpuMilli, memoryMiB, gpuMilli].map((one) => BigInt(Math.round(one)));
  const cost = (units: bigint | undefined, rate: MicroUsd, unitsPerRate: bigint): MicroUsd =>
    between((units ?? 0n) * BigInt(rate), MS_PER_HOUR * unitsPerRate);
  return {
    containerMs: Number(to - from),
    cpuMs: between(cpu ?? 0n, 1_000n),
    memoryMiBSeconds: between(memory ?? 0n, 1_000n),
    gpuMs: between(gpu ?? 0n, 1_000n),
    cpuMicroUsd: cost(cpu, rates.cpuMicroUsdPerCoreHour, 1_000n),
    memoryMicroUsd: cost(memory, rates.memoryMicroUsdPerGiBHour, 1_024n),
    gpuMicroUsd: cost(gpu, rates.gpuMicroUsdPerHour, 1_000n),
  };
}

/** What was used beyond what is reserved, since a container's start; whole numbers. */
export interface ExtraUse {
  readonly cpuMs: number;
  readonly memoryMiBSeconds: number;
}

export const NO_EXTRA: ExtraUse = { cpuMs: 0, memoryMiBSeconds: 0 };

/** The larger of each of two sums. */
export function largerOf(one: ExtraUse, other: ExtraUse): ExtraUse {
  return {
    cpuMs: Math.max(one.cpuMs, other.cpuMs),
    memoryMiBSeconds: Math.max(one.memoryMiBSeconds, other.memoryMiBSeconds),
  };
}

/**
 * What use beyond what is reserved has grown by, from one sum to a larger one: again differences
 * of sums that are rounded down, so that steps add up to the whole.
 */
export function extraAmountsOf(
  { cpuMicroUsdPerCoreHour, memoryMicroUsdPerGiBHour }: UnitRates,
  from: ExtraUse,
  to: ExtraUse,
): UsageAmounts {
  const cost = (units: number, rate: MicroUsd, divisor: bigint): bigint =>
    (BigInt(units) * BigInt(rate)) / divisor;
  const cpu = ({ cpuMs }: ExtraUse): bigint => cost(cpuMs, cpuMicroUsdPerCoreHour, MS_PER_HOUR);
  const memory = ({ memoryMiBSeconds }: ExtraUse): bigint =>
    cost(memoryMiBSeconds, memoryMicroUsdPerGiBHour, SECONDS_PER_HOUR * MIB_PER_GIB);
  return {
    ...NO_USE,
    cpuMs: to.cpuMs - from.cpuMs,
    memoryMiBSeconds: to.memoryMiBSeconds - from.memoryMiBSeconds,
    cpuMicroUsd: Number(cpu(to) - cpu(from)),
    memoryMicroUsd: Number(memory(to) - memory(from)),
  };
}

/** The sum of two amounts. */
export function sumOf(one: UsageAmounts, other: UsageAmounts): UsageAmounts {
  return {
    containerMs: one.containerMs + other.containerMs,
    cpuMs: one.cpuMs + other.cpuMs,
    memoryMiBSeconds: one.memoryMiBSeconds + other.memoryMiBSeconds,
    gpuMs: one.gpuMs + other.gpuMs,
    cpuMicroUsd: one.cpuMicroUsd + other.cpuMicroUsd,
    memoryMicroUsd: one.memoryMicroUsd + other.memoryMicroUsd,
    gpuMicroUsd: one.gpuMicroUsd + other.gpuMicroUsd,
  };
}

/** What amounts cost together. */
export function costOf(amounts: UsageAmounts): MicroUsd {
  return amounts.cpuMicroUsd + amounts.memoryMicroUsd + amounts.gpuMicroUsd;
}
