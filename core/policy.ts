import { MS_PER_MINUTE, MS_PER_SECOND, type MicroUsd } from "./units.ts";
import type { CloudName } from "./offer.ts";

/** Everything an operator may tune about capacity. Durations in ms, money in micro-dollars. */
export interface Policy {
  readonly optimizer: OptimizerPolicy;
  readonly pool: PoolPolicy;
}

export type SolverName = "highs" | "glpk" | "javascript-lp";

export interface OptimizerPolicy {
  readonly solver: SolverName;
  readonly solveTimeLimitMs: number;
  /** Relative gap at which a plan is good enough, 0..1. */
  readonly gapFraction: number;
  /** Most that rent may cost an hour; absent means no limit. */
  readonly budgetMicroUsdPerHourMax?: MicroUsd;
  /** Clouds that may be rented from; absent means all configured ones. */
  readonly clouds?: readonly CloudName[];
  /** Regions that may be rented in; absent means all. */
  readonly regions?: readonly string[];
  readonly spotAllowed: boolean;
  /** What one reclaim of one node costs in lost work and waiting. */
  readonly interruptionMicroUsd: MicroUsd;
  /** One launch or release, amortised over the horizon by the objective. */
  readonly churnMicroUsd: MicroUsd;
  /** How far ahead a plan looks, for amortising one-time costs. */
  readonly horizonMs: number;
  /** Price added per step down a function's list of GPU types, as a fraction of rent. */
  readonly gpuPreferencePenaltyFraction: number;
  /** Savings below this fraction of the present cost do not move machines. */
  readonly hysteresisFraction: number;
  /** Unmet demand price used when a demand class states none. */
  readonly unmetMicroUsdPerHour: MicroUsd;
}

export interface PoolPolicy {
  readonly launchTimeoutMs: number;
  readonly registrationTimeoutMs: number;
  /** A node whose agent is silent this long is lost. */
  readonly heartbeatTimeoutMs: number;
  /** How long a rented node may stay empty before it is released. */
  readonly idleReleaseMs: number;
  readonly drainTimeoutMs: number;
  /** How long a refused offer is left out of plans. */
  readonly refusalTtlMs: number;
  readonly actionCountMaxPerTick: number;
  /** Hard cap on rented nodes, a guard against runaway launches. */
  readonly nodeCountMax: number;
}

export const DEFAULT_OPTIMIZER_POLICY: OptimizerPolicy = {
  solver: "highs",
  solveTimeLimitMs: 5 * MS_PER_SECOND,
  gapFraction: 0.001,
  spotAllowed: true,
  interruptionMicroUsd: 2_000_000,
  churnMicroUsd: 50_000,
  horizonMs: 60 * MS_PER_MINUTE,
  gpuPreferencePenaltyFraction: 0.02,
  hysteresisFraction: 0.05,
  unmetMicroUsdPerHour: 1_000_000_000,
};

export const DEFAULT_POOL_POLICY: PoolPolicy = {
  launchTimeoutMs: 5 * MS_PER_MINUTE,
  registrationTimeoutMs: 15 * MS_PER_MINUTE,
  heartbeatTimeoutMs: 15 * MS_PER_SECOND,
  idleReleaseMs: 3 * MS_PER_MINUTE,
  drainTimeoutMs: 5 * MS_PER_MINUTE,
  refusalTtlMs: 3 * MS_PER_MINUTE,
  actionCountMaxPerTick: 50,
  nodeCountMax: 1_000,
};

export const DEFAULT_POLICY: Policy = {
  optimizer: DEFAULT_OPTIMIZER_POLICY,
  pool: DEFAULT_POOL_POLICY,
};
