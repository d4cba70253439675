import { DEFAULT_OPTIMIZER_POLICY, type OptimizerPolicy } from "./optimizer-policy.ts";
import { DEFAULT_SCHEDULER_POLICY, type SchedulerPolicy } from "./scheduler-policy.ts";
import { MS_PER_MINUTE, MS_PER_SECOND, type MicroUsd } from "./units.ts";

/** Everything an operator may tune about capacity and placement. Durations in ms, money in micro-dollars. */
export interface Policy {
  readonly optimizer: OptimizerPolicy;
  readonly pool: PoolPolicy;
  readonly scheduler: SchedulerPolicy;
}

export interface PoolPolicy {
  readonly launchTimeoutMs: number;
  readonly registrationTimeoutMs: number;
  /** A node whose agent is silent this long is lost. */
  readonly heartbeatTimeoutMs: number;
  /** A rented node is released when it is empty and no plan has wanted it for so long. */
  readonly idleReleaseMs: number;
  readonly drainTimeoutMs: number;
  /** How long an offer is left out of plans after its first refusal; more in a row, longer. */
  readonly refusalTtlMs: number;
  readonly actionCountMaxPerTick: number;
  /** Hard cap on rented nodes, a guard against runaway launches. */
  readonly nodeCountMax: number;
  /** Highest price of a machine rented instead of a refused one, as a multiple of its price. */
  readonly standInPriceFactorMax: number;
  /** Nodes asked of one cloud account per second in the long run, rents that fail included. */
  readonly launchesPerSecondMax: number;
  /** Nodes that may be asked of one cloud account at once. */
  readonly launchBurstMax: number;
  /** When more of the nodes are unfit at once, none is repaired by itself: 0..1. */
  readonly unhealthyFractionMax: number;
  /** What becomes of a node whose provider says that it may take it back before long. */
  readonly atRisk: AtRiskRule;
  /** What a month may cost; only reported. Absent means that nothing is said about it. */
  readonly budgetMicroUsdPerMonth?: MicroUsd;
  readonly consolidation: ConsolidationPolicy;
}

/**
 * `replace`: nothing new is put on it, another is rented in its place, and when that serves, what
 * is on it finishes and it is given back. `keep`: nothing, until the notice of a reclaim comes.
 */
export type AtRiskRule = "replace" | "keep";

/** When nodes that hold containers are given up because the plan wants fewer or others. */
export interface ConsolidationPolicy {
  /** Most of the nodes out of service at once, 0..1, rounded up; 0 moves nothing. */
  readonly disruptionFractionMax: number;
  /** A move must save at least so many times what it disrupts. */
  readonly savingRatioMin: number;
  /** The time over which a saving counts. */
  readonly horizonMs: number;
  /** What it costs to end one container and start it elsewhere. */
  readonly restartMicroUsd: MicroUsd;
  /** A move must have been worth it for so long, without a break. */
  readonly validateMs: number;
  /** A node that has just come, or has just taken in moved containers, is left alone so long. */
  readonly periodMs: number;
}

/** Source: 10 % of the nodes and a second look after 15 s as in Karpenter (read 2026-11). */
export const DEFAULT_CONSOLIDATION_POLICY: ConsolidationPolicy = {
  disruptionFractionMax: 0.1,
  savingRatioMin: 2,
  horizonMs: 60 * MS_PER_MINUTE,
  restartMicroUsd: 20_000,
  validateMs: 15 * MS_PER_SECOND,
  periodMs: 10 * MS_PER_MINUTE,
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
  standInPriceFactorMax: 1.5,
  launchesPerSecondMax: 10,
  launchBurstMax: 200,
  atRisk: "replace",
  unhealthyFractionMax: 0.2,
  consolidation: DEFAULT_CONSOLIDATION_POLICY,
};

export const DEFAULT_POLICY: Policy = {
  optimizer: DEFAULT_OPTIMIZER_POLICY,
  pool: DEFAULT_POOL_POLICY,
  scheduler: DEFAULT_SCHEDULER_POLICY,
};
