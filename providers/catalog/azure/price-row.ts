/** One row of the Azure price tables. */

/** Prices in USD per node-hour; a row of two is a size that is not cheaper on spot. */
export type AzurePriceRow =
  | readonly [instanceType: string, onDemandUsdPerHour: number]
  | readonly [instanceType: string, onDemandUsdPerHour: number, spotUsdPerHour: number];

/** Price rows by region; in a region each size has at most one row. */
export type AzureRegionPrices = Readonly<Record<string, readonly AzurePriceRow[]>>;
