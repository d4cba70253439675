/** Keeps the rented nodes equal to the plan. */
export { PoolController } from "./controller.ts";
export type { AgentSighting, PoolEvent, PoolLedger, PoolRecord } from "./ports.ts";
