/**
 * Prices that were read from a cloud's public price list, laid over the built-in tables.
 *
 * A sheet is one region of one cloud. What it prices replaces the built-in figure of the same
 * (cloud, region, instance type, purchase option); what it does not price stays as it was. A type
 * that the tables do not have there is added where the cloud picks the zone: the lists of clouds
 * whose zones are picked by the renter do not say which zones have it.
 */
import { usdFromMicroUsd, type CloudName, type MicroUsd } from "../../core/index.ts";
import type { InterruptionBucket } from "./aws/price-row.ts";
import type { PricedType, SpotPrice } from "./priced-type.ts";

/** The price of one instance type by one purchase option. */
export interface ListedPrice {
  readonly instanceType: string;
  readonly purchase: "on-demand" | "spot";
  /** Above zero. */
  readonly microUsdPerHour: MicroUsd;
  /** Of spot machines, where the cloud publishes it. */
  readonly interruptions?: InterruptionBucket;
}

/** The prices of one region, each (instance type, purchase option) at most once. */
export interface PriceSheet {
  readonly cloud: CloudName;
  readonly region: string;
  /** What was read, for people: the name of the list and its date. */
  readonly source: string;
  readonly readAtMs: number;
  readonly prices: readonly ListedPrice[];
}

/** A guess on the safe side, for spot machines of which nobody publishes how often they go. */
const UNPUBLISHED_INTERRUPTIONS: InterruptionBucket = ">20%";

/**
 * The rows of a region at the prices of a sheet. A spot price that is not below the on-demand
 * price is left out. O(rows + prices).
 *
 * @param isZoned Whether the renter picks the zone, so that no new type can be added.
 */
export function withListedPrices(
  rows: readonly PricedType[],
  sheet: PriceSheet | undefined,
  isZoned: boolean,
): readonly PricedType[] {
  if (sheet === undefined) return rows;
  const byType = Map.groupBy(sheet.prices, ({ instanceType }) => instanceType);
  const known = new Set(rows.map(({ instanceType }) => instanceType));
  const added = [...byType.keys()]
    .filter((instanceType) => !isZoned && !known.has(instanceType))
    .flatMap((instanceType) => {
      const prices = pricesIn(byType, instanceType);
      const onDemandUsdPerHour = prices.onDemand;
      if (onDemandUsdPerHour === undefined) return [];
      return [repriced({ instanceType, onDemandUsdPerHour }, prices, sheet.readAtMs)];
    });
  const repricedRows = rows.map((row) =>
    repriced(row, pricesIn(byType, row.instanceType), sheet.readAtMs),
  );
  return [...repricedRows, ...added];
}

interface TypePrices {
  readonly onDemand?: number;
  readonly spot?: Pick<SpotPrice, "usdPerHour"> & Partial<SpotPrice>;
}

function pricesIn(
  byType: ReadonlyMap<string, readonly ListedPrice[]>,
  instanceType: string,
): TypePrices {
  const listed = byType.get(instanceType) ?? [];
  const onDemand = listed.find(({ purchase }) => purchase === "on-demand");
  const spot = listed.find(({ purchase }) => purchase === "spot");
  const bucket = spot?.interruptions;
  return {
    ...(onDemand === undefined ? {} : { onDemand: usdFromMicroUsd(onDemand.microUsdPerHour) }),
    ...(spot === undefined
      ? {}
      : {
          spot: {
            usdPerHour: usdFromMicroUsd(spot.microUsdPerHour),
            ...(bucket === undefined ? {} : { interruptions: bucket }),
          },
        }),
  };
}

function repriced(row: PricedType, prices: TypePrices, pricedAtMs: number): PricedType {
  const { spot: builtIn, ...rest } = row;
  const onDemandUsdPerHour = prices.onDemand ?? row.onDemandUsdPerHour;
  const interruptions = builtIn?.interruptions ?? UNPUBLISHED_INTERRUPTIONS;
  const spot: SpotPrice | undefined =
    prices.spot === undefined ? builtIn : { interruptions, ...prices.spot, pricedAtMs };
  return {
    ...rest,
    onDemandUsdPerHour,
    ...(prices.onDemand === undefined ? {} : { pricedAtMs }),
    ...(spot === undefined || spot.usdPerHour >= onDemandUsdPerHour ? {} : { spot }),
  };
}
