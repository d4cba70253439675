/** One row of the Google Cloud price tables. */

/**
 * Prices in USD per node-hour, the same in all zones that sell the type; a row of three is a
 * type that is not sold on spot. `zoneLetters` such as `bc` are the last letters of the zones.
 */
export type ZonedPriceRow = readonly [
  instanceType: string,
  zoneLetters: string,
  onDemandUsdPerHour: number,
  spotUsdPerHour?: number,
];

/** Price rows by region; in a region each instance type has at most one row. */
export type ZonedRegionPrices = Readonly<Record<string, readonly ZonedPriceRow[]>>;
