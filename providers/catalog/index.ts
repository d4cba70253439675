/** Built-in figures: which machines there are, where, and at what price. */
export { AZURE_SPOT_QUOTA, AZURE_TOTAL_QUOTA, azureQuotaFamilies } from "./azure/shapes.ts";
export { catalogOffers, catalogRegions, instanceShape, quotaGroupOf } from "./offers.ts";
export type { InstanceShape } from "./shape.ts";
