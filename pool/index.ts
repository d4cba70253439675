/** Keeps the rented nodes equal to the plan. */
export {
  demandOf,
  NO_WORK_SEEN,
  observeWork,
  planInputOf,
  type FunctionWork,
  type SeenWork,
} from "./capacity.ts";
export { PoolController } from "./controller.ts";
export type { PoolControllerState } from "./controller-state.ts";
export type { PoolTick } from "./pool-tick.ts";
export { desiredLinesOf } from "./plan-lines.ts";
export { CLUSTER_TAG } from "./observe.ts";
export type { Order, OrderOutcome } from "./orders.ts";
export type { MemoryChanges, MemoryEntry } from "./memory.ts";
export { forecastOf, spendPeriodsOf } from "./spend.ts";
export type {
  AgentSighting,
  DesiredLine,
  MachineTraces,
  PoolFacts,
  PoolEvent,
  PoolLedger,
  PoolRecord,
  RentBatch,
} from "./ports.ts";
