/** Pure planning: market, demand scenarios, policy and present fleet in, a fleet plan out. */
export { NO_HISTORY, observeDemand, type DemandHistory } from "./buffer/demand-history.ts";
export { planBuffers, type BufferPlan, type PlannedBuffer } from "./buffer/plan-buffers.ts";
export { limitedSpot } from "./buffer/spot-limits.ts";
export { mayServe } from "./eligibility.ts";
export { nextGain } from "./forecast/feedback.ts";
export { backlogLoad, offeredLoad } from "./forecast/offered-load.ts";
export { RunTimeMean, type RunTimeMeanState } from "./forecast/run-time-mean.ts";
export { createPlanMemory, type PlanMemory } from "./memory.ts";
export { fitCount, placeFirstFit, roomOf, type NodeStack } from "./packing.ts";
export { planFleet } from "./plan-fleet.ts";
export { type FleetPlan, type PlanInput } from "./plan.ts";
export { createSolvers } from "./solvers/create-solvers.ts";
