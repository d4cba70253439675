/** Money, time and sizes: the units every folder shares. */

/** Whole micro-dollars (1 USD = 1,000,000). Ledgers add these and never floats. */
export type MicroUsd = number;

export const MICRO_USD_PER_USD = 1_000_000;
export const MS_PER_SECOND = 1_000;
export const MS_PER_MINUTE = 60_000;
export const MS_PER_HOUR = 3_600_000;

/** Micro-dollars for a dollar figure, rounded to the nearest whole one. */
export function microUsdFromUsd(usd: number): MicroUsd {
  return Math.round(usd * MICRO_USD_PER_USD);
}

/** Dollars for a micro-dollar figure: for display and for solver input, never for adding up. */
export function usdFromMicroUsd(microUsd: MicroUsd): number {
  return microUsd / MICRO_USD_PER_USD;
}
