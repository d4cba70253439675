/** Keeps the rented nodes equal to the plan. */
export { PoolController } from "./controller.ts";
export type {
  AgentSighting,
  DesiredLine,
  PoolEvent,
  PoolLedger,
  PoolRecord,
  RentBatch,
  StandInRule,
} from "./ports.ts";
