/** Words and ports that every folder shares; this folder imports nothing. */
export { assert, assertNever } from "./assert.ts";
export type { Clock } from "./clock.ts";
export { messageOf, PlatformError, type ErrorCode, type ErrorDetails } from "./errors.ts";
export { countingIds, type IdPrefix, type IdSource } from "./ids.ts";
export {
  NODE_STATES,
  type Isolation,
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
  DEFAULT_OPTIMIZER_POLICY,
  DEFAULT_POLICY,
  DEFAULT_POOL_POLICY,
  type OptimizerPolicy,
  type Policy,
  type PoolPolicy,
  type SolverName,
} from "./policy.ts";
export { createRng, type Rng } from "./rng.ts";
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
  type ContainerNeeds,
  type ContainerRequest,
  type DemandClass,
  type GpuRequest,
} from "./workload.ts";
