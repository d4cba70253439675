/** One row of the AWS price tables, in the order a reader of a price list expects. */

/** Interruptions per month of a spot machine, as the Spot Advisor groups them. */
export type InterruptionBucket = "<5%" | "5-10%" | "10-15%" | "15-20%" | ">20%";

/** Prices in USD per node-hour; a row of two is a type that is not sold on spot. */
export type PriceRow =
  | readonly [instanceType: string, onDemandUsdPerHour: number]
  | readonly [
      instanceType: string,
      onDemandUsdPerHour: number,
      spotUsdPerHour: number,
      interruptions: InterruptionBucket,
    ];

/** Price rows by region; in a region each instance type has at most one row. */
export type RegionPrices = Readonly<Record<string, readonly PriceRow[]>>;
