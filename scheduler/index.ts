/** Which node takes each container, and how many containers each function should have. */
export { ArrivalLog, type ArrivalHistory } from "./autoscale/arrival-log.ts";
export {
  evict,
  type EvictableContainer,
  type FitsOn,
  type WaitingContainer,
} from "./autoscale/evict.ts";
export { expectNext } from "./autoscale/expect.ts";
export { foresee } from "./autoscale/foresee.ts";
export { type FunctionState, type ScaledContainer } from "./autoscale/function-state.ts";
export { fitsOnNode } from "./fits-on.ts";
export { scale } from "./autoscale/scale.ts";
export { place } from "./place.ts";
export { type PlacementPlan } from "./plan.ts";
export { ON_TIME_MS, OVERDUE_MS, turnOf, type Turn } from "./queue/turn.ts";
export { planRepack, type RepackMove } from "./repack/plan-repack.ts";
export { Scheduler, type SchedulerState } from "./scheduler.ts";
