/** Policy files: text to `Policy`. Pure; whoever calls reads the file. */
import {
  microUsdFromUsd,
  MS_PER_HOUR,
  MS_PER_SECOND,
  type BufferBounds,
  type CloudName,
  type MicroUsd,
  type OptimizerPolicy,
  type Policy,
  type PoolPolicy,
  type SchedulerPolicy,
  type WorkspaceQuota,
} from "../../core/index.ts";
import { checkValue, mistakesError, pathText, readDocument } from "../../documents/index.ts";
import { policyFile, type PolicyFile } from "./policy-file.ts";

/** A policy, and the file's own content for changes to it. */
export interface ParsedPolicy {
  readonly policy: Policy;
  /** What the file said, defaults not filled in. */
  readonly raw: unknown;
}

/**
 * The policy of a YAML text; what it leaves out has its default.
 *
 * @param name What to call the text in errors, such as its file's name.
 * @throws PlatformError `invalid_request` that lists each mistake with line, column, path, what
 *   is allowed there and the nearest known word.
 */
export function parsePolicy(text: string, name: string): ParsedPolicy {
  const reading = readDocument(text, policyFile, {});
  if (reading.kind === "mistakes") throw mistakesError(name, reading.mistakes);
  return { policy: policyOf(reading.value), raw: reading.raw };
}

/** As `parsePolicy`, of content that was read already; its mistakes have no lines. */
export function checkPolicy(raw: unknown, name: string): Policy {
  const reading = checkValue(raw, policyFile);
  if (reading.kind === "value") return policyOf(reading.value);
  const mistakes = reading.problems.map(({ path, message }) => ({ path: pathText(path), message }));
  throw mistakesError(name, mistakes);
}

function policyOf(file: PolicyFile): Policy {
  return {
    optimizer: optimizerOf(file.optimizer),
    pool: poolOf(file.pool),
    scheduler: schedulerOf(file.scheduler),
  };
}

function optimizerOf(file: PolicyFile["optimizer"]): OptimizerPolicy {
  const { budgetUsdPerHourMax, clouds, regions } = file;
  return {
    solver: file.solver,
    solveTimeLimitMs: msOfSeconds(file.solveTimeLimitSeconds),
    gapFraction: file.gapFraction,
    ...(budgetUsdPerHourMax === undefined
      ? {}
      : { budgetMicroUsdPerHourMax: microUsdFromUsd(budgetUsdPerHourMax) }),
    ...(clouds === undefined ? {} : { clouds }),
    ...(regions === undefined ? {} : { regions }),
    spotAllowed: file.spotAllowed,
    shares: file.shares.map(({ of, name, minFraction, maxFraction }) => ({
      of,
      name,
      ...(minFraction === undefined ? {} : { minFraction }),
      ...(maxFraction === undefined ? {} : { maxFraction }),
    })),
    concentration: file.concentration.map(({ of, freeFraction, usdPerGpuHour }) => ({
      of,
      freeFraction,
      microUsdPerGpuHour: microUsdFromUsd(usdPerGpuHour),
    })),
    ignoredTerms: file.ignoredTerms,
    interruptionMicroUsd: microUsdFromUsd(file.interruptionUsd),
    churnMicroUsd: microUsdFromUsd(file.churnUsd),
    horizonMs: msOfHours(file.horizonHours),
    egressMicroUsdPerGib: inMicroUsd<CloudName>(file.egressUsdPerGib),
    regionMicroUsdPerContainerHour: inMicroUsd<string>(file.regionUsdPerContainerHour),
    gpuPreferencePenaltyFraction: file.gpuPreferencePenaltyFraction,
    hysteresisFraction: file.hysteresisFraction,
    unmetMicroUsdPerHour: microUsdFromUsd(file.unmetUsdPerHour),
    buffers: buffersOf(file.buffers),
  };
}

function buffersOf(file: PolicyFile["optimizer"]["buffers"]): OptimizerPolicy["buffers"] {
  const bounds = Object.entries(file.byGpuType).map(
    ([gpuType, { gpuCountMin, gpuCountMax }]): [string, BufferBounds] => [
      gpuType,
      {
        ...(gpuCountMin === undefined ? {} : { gpuCountMin }),
        ...(gpuCountMax === undefined ? {} : { gpuCountMax }),
      },
    ],
  );
  return {
    waitMicroUsdPerGpuHour: microUsdFromUsd(file.waitUsdPerGpuHour),
    quantileMin: file.quantileMin,
    quantileMax: file.quantileMax,
    missFractionTarget: file.missFractionTarget,
    byGpuType: Object.fromEntries(bounds),
  };
}

function poolOf(file: PolicyFile["pool"]): PoolPolicy {
  const { budgetUsdPerMonth, consolidation } = file;
  return {
    launchTimeoutMs: msOfSeconds(file.launchTimeoutSeconds),
    registrationTimeoutMs: msOfSeconds(file.registrationTimeoutSeconds),
    heartbeatTimeoutMs: msOfSeconds(file.heartbeatTimeoutSeconds),
    idleReleaseMs: msOfSeconds(file.idleReleaseSeconds),
    drainTimeoutMs: msOfSeconds(file.drainTimeoutSeconds),
    refusalTtlMs: msOfSeconds(file.refusalTtlSeconds),
    actionCountMaxPerTick: file.actionCountMaxPerTick,
    nodeCountMax: file.nodeCountMax,
    standInPriceFactorMax: file.standInPriceFactorMax,
    launchesPerSecondMax: file.launchesPerSecondMax,
    launchBurstMax: file.launchBurstMax,
    unhealthyFractionMax: file.unhealthyFractionMax,
    atRisk: file.atRisk,
    ...(budgetUsdPerMonth === undefined
      ? {}
      : { budgetMicroUsdPerMonth: microUsdFromUsd(budgetUsdPerMonth) }),
    consolidation: {
      disruptionFractionMax: consolidation.disruptionFractionMax,
      savingRatioMin: consolidation.savingRatioMin,
      horizonMs: msOfHours(consolidation.horizonHours),
      restartMicroUsd: microUsdFromUsd(consolidation.restartUsd),
      validateMs: msOfSeconds(consolidation.validateSeconds),
      periodMs: msOfSeconds(consolidation.periodSeconds),
    },
  };
}

function schedulerOf(file: PolicyFile["scheduler"]): SchedulerPolicy {
  const quotas = Object.entries(file.quotas).map(
    ([workspaceId, quota]): [string, WorkspaceQuota] => [workspaceId, quotaOf(quota)],
  );
  return {
    strategy: file.strategy,
    quotas: Object.fromEntries(quotas),
    patienceMs: msOfSeconds(file.patienceSeconds),
    reservedFractionMax: file.reservedFractionMax,
    evictionCountMaxPerRound: file.evictionCountMaxPerRound,
    repack: {
      allowed: file.repack.allowed,
      everyMs: msOfSeconds(file.repack.everySeconds),
      moveCountMax: file.repack.moveCountMax,
      gpuCountMax: file.repack.gpuCountMax,
      drainTimeoutMs: msOfSeconds(file.repack.drainTimeoutSeconds),
    },
  };
}

function quotaOf(file: PolicyFile["scheduler"]["quotas"][string]): WorkspaceQuota {
  const { guaranteedFraction, maxFraction, gpuCountMax, weight } = file;
  return {
    ...(guaranteedFraction === undefined ? {} : { guaranteedFraction }),
    ...(maxFraction === undefined ? {} : { maxFraction }),
    ...(gpuCountMax === undefined ? {} : { gpuCountMax }),
    ...(weight === undefined ? {} : { weight }),
  };
}

function inMicroUsd<Key extends string>(
  usd: Readonly<Partial<Record<Key, number>>>,
): Record<string, MicroUsd> {
  const entries = Object.entries<number | undefined>(usd);
  return Object.fromEntries(entries.map(([key, value]) => [key, microUsdFromUsd(value ?? 0)]));
}

function msOfSeconds(seconds: number): number {
  return Math.round(seconds * MS_PER_SECOND);
}

/** Milliseconds of a duration in hours, at least one. */
export function msOfHours(hours: number): number {
  return Math.max(1, Math.round(hours * MS_PER_HOUR));
}
