/** Whole-system runs on virtual time. */
export { alongPath } from "./traces/path.ts";
export { scaledToPeak, totalOf } from "./traces/reshape.ts";
export { readServegen } from "./traces/servegen.ts";
export type { DemandTrace } from "./traces/trace.ts";
