/** Which node takes each container, and how many containers each function should have. */
export { place } from "./place.ts";
export { scale, type FunctionState } from "./scale.ts";
