/**
 * Virtual machine prices out of Azure's retail prices.
 *
 * One machine size has many prices: with Windows, for Spot and for its predecessor Low Priority,
 * for reservations and development subscriptions, and for dates to come. What counts is the
 * consumption of a plain (Linux) machine by the hour, in force now.
 *
 * Source: Azure REST reference, "Azure Retail Prices overview" (read 2026-11).
 */
import { z } from "zod";
import { microUsdFromUsd } from "../../core/index.ts";
import type { ListedPrice } from "../catalog/index.ts";
import { inLayout } from "./layout.ts";

const ITEM = z.object({
  currencyCode: z.string(),
  tierMinimumUnits: z.number().default(0),
  retailPrice: z.number(),
  armRegionName: z.string().default(""),
  armSkuName: z.string().default(""),
  skuName: z.string().default(""),
  meterName: z.string().default(""),
  productName: z.string().default(""),
  unitOfMeasure: z.string(),
  type: z.string(),
  effectiveStartDate: z.string().default(""),
});

const PAGE = z.object({
  Items: z.array(ITEM),
  NextPageLink: z.string().nullable().default(null),
});

/** A price of one machine size in one region. */
export interface RetailPrice {
  readonly region: string;
  readonly instanceType: string;
  readonly purchase: ListedPrice["purchase"];
  readonly microUsdPerHour: number;
  readonly effectiveFromMs: number;
}

/** One page of retail prices. */
export interface RetailPage {
  readonly prices: readonly RetailPrice[];
  /** Address of the next page; absent on the last one. */
  readonly nextPageLink: string | undefined;
}

/** Reads one page. @throws PlatformError `unavailable` for another layout */
export function parseRetailPage(page: unknown): RetailPage {
  const { Items, NextPageLink } = inLayout(PAGE, page, "a page of Azure's retail prices");
  return {
    prices: Items.flatMap((item) => retailPriceOf(item) ?? []),
    nextPageLink: NextPageLink === null || NextPageLink === "" ? undefined : NextPageLink,
  };
}

/** `Virtual Machines DSv5 Series Windows`, `Virtual Machines NCCadsv5 Srs Win`. */
const WINDOWS = /\bWin(dows)?\b/i;
const CLOUD_SERVICES = /\bCloud ?Services\b/i;
const LOW_PRIORITY = /\bLow Priority\b/i;
const SPOT = /\bSpot\b/i;

type Item = z.infer<typeof ITEM>;

function retailPriceOf(item: Item): RetailPrice | undefined {
  const { productName, skuName, meterName, armRegionName, armSkuName } = item;
  const names = `${skuName} ${meterName}`;
  if (!isHourlyUsd(item) || armRegionName === "" || armSkuName === "") return undefined;
  if (WINDOWS.test(productName) || CLOUD_SERVICES.test(productName)) return undefined;
  if (LOW_PRIORITY.test(names)) return undefined;
  const effectiveFromMs = Date.parse(item.effectiveStartDate);
  return {
    region: armRegionName.toLowerCase(),
    instanceType: armSkuName,
    purchase: SPOT.test(names) ? "spot" : "on-demand",
    microUsdPerHour: microUsdFromUsd(item.retailPrice),
    effectiveFromMs: Number.isNaN(effectiveFromMs) ? 0 : effectiveFromMs,
  };
}

function isHourlyUsd(item: Item): boolean {
  const isHourly = item.type === "Consumption" && item.unitOfMeasure === "1 Hour";
  const isUsd = item.currencyCode === "USD" && item.retailPrice > 0;
  return isHourly && isUsd && item.tierMinimumUnits === 0;
}

/**
 * The prices in force at an instant, by region in ascending order: of each the latest that has
 * begun, of equal ones the highest. O(n log n).
 */
export function pricesInForce(
  prices: readonly RetailPrice[],
  nowMs: number,
): ReadonlyMap<string, readonly ListedPrice[]> {
  const best = new Map<string, RetailPrice>();
  for (const price of prices) {
    if (price.effectiveFromMs > nowMs) continue;
    const key = `${price.region}/${price.instanceType}/${price.purchase}`;
    const known = best.get(key);
    if (known === undefined || isBefore(known, price)) best.set(key, price);
  }
  const inForce = [...best].sort(([one], [other]) => (one < other ? -1 : 1));
  const byRegion = Map.groupBy(inForce, ([, { region }]) => region);
  return new Map(
    [...byRegion].map(([region, entries]) => [
      region,
      entries.map(([, { instanceType, purchase, microUsdPerHour }]) => ({
        instanceType,
        purchase,
        microUsdPerHour,
      })),
    ]),
  );
}

function isBefore(one: RetailPrice, other: RetailPrice): boolean {
  if (one.effectiveFromMs !== other.effectiveFromMs) {
    return one.effectiveFromMs < other.effectiveFromMs;
  }
  return one.microUsdPerHour < other.microUsdPerHour;
}
