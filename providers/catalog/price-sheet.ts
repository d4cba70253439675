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
  /** When it was read, should that be before the rest of its sheet: it was kept from then. */
  readonly readAtMs?: number;
}

/** The prices of one region, each (instance type, purchase option) at most once. */
export interface PriceSheet {
  readonly cloud: CloudName;
  readonly region: string;
  /** What was read, for people: the name of the list and its date. */
  readonly source: string;
  /** When it was last read. */
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
  const byType = new Map<string, ListedPrices>();
  for (const price of sheet.prices) {
    const { instanceType, purchase } = price;
    byType.set(instanceType, { ...byType.get(instanceType), [purchase]: price });
  }
  const known = new Set(rows.map(({ instanceType }) => instanceType));
  const added = [...byType].flatMap(([instanceType, { "on-demand": onDemand }]) => {
    if (isZoned || known.has(instanceType) || onDemand === undefined) return [];
    return [{ instanceType, onDemandUsdPerHour: usdFromMicroUsd(onDemand.microUsdPerHour) }];
  });
  return [...rows, ...added].map((row) =>
    repriced(row, byType.get(row.instanceType) ?? {}, sheet.readAtMs),
  );
}

/** The prices of one instance type. */
type ListedPrices = Readonly<Partial<Record<ListedPrice["purchase"], ListedPrice>>>;

function repriced(row: PricedType, prices: ListedPrices, sheetReadAtMs: number): PricedType {
  const { spot: knownSpot, ...rest } = row;
  const { "on-demand": onDemand, spot: listedSpot } = prices;
  const onDemandUsdPerHour =
    onDemand === undefined ? row.onDemandUsdPerHour : usdFromMicroUsd(onDemand.microUsdPerHour);
  const spot: SpotPrice | undefined =
    listedSpot === undefined
      ? knownSpot
      : {
          usdPerHour: usdFromMicroUsd(listedSpot.microUsdPerHour),
          interruptions:
            listedSpot.interruptions ?? knownSpot?.interruptions ?? UNPUBLISHED_INTERRUPTIONS,
          pricedAtMs: listedSpot.readAtMs ?? sheetReadAtMs,
        };
  return {
    ...rest,
    onDemandUsdPerHour,
    ...(onDemand === undefined ? {} : { pricedAtMs: onDemand.readAtMs ?? sheetReadAtMs }),
    ...(spot === undefined || spot.usdPerHour >= onDemandUsdPerHour ? {} : { spot }),
  };
}
