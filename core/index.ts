/** Words and ports that every folder shares; this folder imports nothing. */
export { assert, assertNever } from "./assert.ts";
export type { Clock } from "./clock.ts";
export {
  messageOf,
  ERROR_CODES,
  PlatformError,
  systemCodeOf,
  type ErrorCode,
  type ErrorDetails,
} from "./errors.ts";
export { countingIds, type IdPrefix, type IdSource } from "./ids.ts";
export {
  NODE_STATES,
  type Isolation,
  type MoveMeans,
  type Node,
  type NodeState,
  type PlacedContainer,
} from "./node.ts";
export {
  CLOUD_NAMES,
  GPU_TYPES,
  isGpuType,
  offerIdOf,
  type CloudName,
  type GpuType,
  type Offer,
  type PurchaseOption,
  type Resources,
} from "./offer.ts";
export {
  DEFAULT_BUFFER_POLICY,
  DEFAULT_OPTIMIZER_POLICY,
  OBJECTIVE_TERMS,
  type BufferBounds,
  type BufferPolicy,
  type ObjectiveTerm,
  type OptimizerPolicy,
  type OptionalTerm,
  type ShareRule,
  type SolverName,
} from "./optimizer-policy.ts";
export {
  DEFAULT_CONSOLIDATION_POLICY,
  DEFAULT_POLICY,
  DEFAULT_POOL_POLICY,
  type ConsolidationPolicy,
  type Policy,
  type PoolPolicy,
} from "./policy.ts";
export {
  DEFAULT_SCHEDULER_POLICY,
  STRATEGY_NAMES,
  type RepackPolicy,
  type SchedulerPolicy,
  type StrategyName,
  type WorkspaceQuota,
} from "./scheduler-policy.ts";
export { createRng, type Rng, type RngState } from "./rng.ts";
export {
  microUsdFromUsd,
  MS_PER_HOUR,
  MS_PER_MINUTE,
  MS_PER_SECOND,
  usdFromMicroUsd,
  type MicroUsd,
} from "./units.ts";
export {
  demandClassKey,
  resourcesOf,
  type Artifact,
  type ContainerNeeds,
  type ContainerRequest,
  type DemandClass,
  type GangRule,
  type GpuRequest,
  type ResourceLimits,
  type SpreadRule,
} from "./workload.ts";
