/** One instance type in one place, with its prices. */
import type { InterruptionBucket } from "./aws/price-row.ts";

/** What a price table says of one instance type in one place. */
export interface PricedType {
  readonly instanceType: string;
  /** Absent where the cloud picks the zone. */
  readonly zone?: string;
  readonly onDemandUsdPerHour: number;
  /** When the cloud's price list was read; absent for the built-in figure. */
  readonly pricedAtMs?: number;
  /** Absent where the type is not sold on spot. */
  readonly spot?: SpotPrice;
}

/** The spot price of an instance type, and how often its machines are taken back. */
export interface SpotPrice {
  readonly usdPerHour: number;
  readonly interruptions: InterruptionBucket;
  /** When the cloud's price list was read; absent for the built-in figure. */
  readonly pricedAtMs?: number;
}
