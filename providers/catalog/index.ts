/** Built-in figures: which machines there are, where, and at what price. */
export { catalogOffers, catalogRegions, instanceShape, quotaGroupOf } from "./offers.ts";
export type { InstanceShape } from "./shape.ts";
