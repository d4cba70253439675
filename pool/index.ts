/** Keeps the rented nodes equal to the plan. */
export { PoolController, type PoolTick } from "./controller.ts";
export { CLUSTER_TAG } from "./observe.ts";
export type { Order, OrderOutcome } from "./orders.ts";
export type { MemoryChanges, MemoryEntry } from "./memory.ts";
export { forecastOf, spendPeriodsOf } from "./spend.ts";
export type {
  AgentSighting,
  DesiredLine,
  PoolFacts,
  PoolEvent,
  PoolLedger,
  PoolRecord,
  RentBatch,
  StandInRule,
} from "./ports.ts";
