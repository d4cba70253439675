/** Pure planning: market, demand scenarios, policy and present fleet in, a fleet plan out. */
export { planFleet } from "./plan-fleet.ts";
export { type FleetPlan, type PlanInput } from "./plan.ts";
export { createSolvers } from "./solvers/create-solvers.ts";
