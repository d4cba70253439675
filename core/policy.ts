import { DEFAULT_OPTIMIZER_POLICY, type OptimizerPolicy } from "./optimizer-policy.ts";
import { MS_PER_MINUTE, MS_PER_SECOND } from "./units.ts";

/** Everything an operator may tune about capacity. Durations in ms, money in micro-dollars. */
export interface Policy {
  readonly optimizer: OptimizerPolicy;
  readonly pool: PoolPolicy;
}

export interface PoolPolicy {
  readonly launchTimeoutMs: number;
  readonly registrationTimeoutMs: number;
  /** A node whose agent is silent this long is lost. */
  readonly heartbeatTimeoutMs: number;
  /** How long a rented node may stay empty before it is released. */
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
}

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
};

export const DEFAULT_POLICY: Policy = {
  optimizer: DEFAULT_OPTIMIZER_POLICY,
  pool: DEFAULT_POOL_POLICY,
};
