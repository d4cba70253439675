/** Prices read from the clouds' public lists: readers, and what of a reading is believed. */
export { readAwsPrices } from "./aws.ts";
export { readAzurePrices } from "./azure.ts";
export { Downloads } from "./download.ts";
export { readGcpPrices } from "./gcp.ts";
export {
  PRICED_CLOUDS,
  type PricedCloud,
  type PriceQuery,
  type PriceReaderContext,
  type PriceReading,
  type ReadFailure,
} from "./reading.ts";
export { priceKey, reviewSheet, type HeldPrice, type PriceChange } from "./review.ts";
