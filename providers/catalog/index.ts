/** Built-in figures, and prices read from the clouds' lists: which machines there are, where. */
export { AZURE_SPOT_QUOTA, AZURE_TOTAL_QUOTA, azureQuotaFamilies } from "./azure/shapes.ts";
export {
  catalogOffers,
  catalogRegions,
  catalogShapes,
  instanceShape,
  quotaGroupOf,
} from "./offers.ts";
export type { InterruptionBucket } from "./aws/price-row.ts";
export type { ListedPrice, PriceSheet } from "./price-sheet.ts";
export type { InstanceShape } from "./shape.ts";
