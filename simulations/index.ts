/** Whole-system runs on virtual time. */
export { readAzureLlm } from "./traces/azure-llm.ts";
export { bestTuned, reactiveGrid } from "./baselines/reactive.ts";
export { BASELINE_NAMES, createBaseline, type BaselineName } from "./baselines/index.ts";
export { availabilityOf, spotOffers, zoneLosses } from "./market.ts";
export { scenarioOf, type ScenarioOverrides } from "./scenarios/scenario.ts";
export { readCsvTrace } from "./traces/csv.ts";
export { alongPath } from "./traces/path.ts";
export {
  cut,
  rateFor,
  repeated,
  scaled,
  scaledToPeak,
  shareOut,
  totalOf,
} from "./traces/reshape.ts";
export { readServegen } from "./traces/servegen.ts";
export { readSpotTrace } from "./traces/spot.ts";
export { PATH_KINDS, type DemandTrace, type PathKind } from "./traces/trace.ts";
export type { World } from "./world.ts";
