/**
 * The built-in catalog: which instance types there are, where, and at what price.
 *
 * Figures are kept in the source so that a plan can be made with no network. Sources:
 * - AWS on-demand: github.com/tsaol/aws-gpu at 77fcd9fe, which took them from
 *   instances.vantage.sh on 2025-11-30; machines without GPUs: the generated price table of
 *   github.com/aws/karpenter-provider-aws (2026-07-20), which has us-east-1 only.
 * - AWS spot: on-demand less the savings of the AWS Spot Advisor (snapshot of 2025-07-28 in
 *   github.com/alexei-led/spotinfo at 05e93313), so a monthly average and not a quote.
 * - AWS reclaims: the Spot Advisor's bucket of interruptions per month, of the same snapshot.
 * - Azure: github.com/anycloud-sh/catalog at 62ff0a98 (2026-05-20), azure/vms.csv; a spot price
 *   that is not below the on-demand price (all of H200) is left out.
 * - Azure reclaims: the list has none; the worst bucket is the safe guess.
 * - Google Cloud: github.com/anycloud-sh/catalog at 62ff0a98 (2026-05-20), gcp/vms.csv; prices of
 *   `n1` types with accelerators are the host's and the accelerators' prices added up.
 * - Google Cloud reclaims: none are published; the worst bucket is the safe guess.
 * Left out of AWS: arm64 types, parts of GPUs, bare metal, and GovCloud, which has accounts of
 * its own. Prices that were read from the clouds' own lists go before all of these
 * (`price-sheet.ts`).
 */
import {
  microUsdFromUsd,
  offerIdOf,
  type CloudName,
  type Offer,
  type PurchaseOption,
} from "../../core/index.ts";
import { PRICES_AMERICAS } from "./aws/prices-americas.ts";
import { PRICES_ASIA_PACIFIC } from "./aws/prices-asia-pacific.ts";
import { PRICES_EUROPE } from "./aws/prices-europe.ts";
import { PRICES_MIDDLE_EAST_AFRICA } from "./aws/prices-middle-east-africa.ts";
import type { InterruptionBucket, PriceRow } from "./aws/price-row.ts";
import { AWS_SHAPES } from "./aws/shapes.ts";
import type { AzurePriceRow } from "./azure/price-row.ts";
import { AZURE_PRICES_AMERICAS } from "./azure/prices-americas.ts";
import { AZURE_PRICES_ASIA_PACIFIC } from "./azure/prices-asia-pacific.ts";
import { AZURE_PRICES_EUROPE } from "./azure/prices-europe.ts";
import { AZURE_PRICES_MIDDLE_EAST_AFRICA } from "./azure/prices-middle-east-africa.ts";
import { azureQuotaFamilies, AZURE_SHAPES } from "./azure/shapes.ts";
import { PRICES_AMERICAS as GCP_PRICES_AMERICAS } from "./gcp/prices-americas.ts";
import { PRICES_ASIA_AFRICA } from "./gcp/prices-asia-africa.ts";
import { PRICES_EUROPE as GCP_PRICES_EUROPE } from "./gcp/prices-europe.ts";
import type { ZonedPriceRow } from "./gcp/price-row.ts";
import { GCP_SHAPES } from "./gcp/shapes.ts";
import type { PricedType } from "./priced-type.ts";
import { withListedPrices, type PriceSheet } from "./price-sheet.ts";
import type { InstanceShape } from "./shape.ts";

/** Which part of the catalog is wanted. */
export interface CatalogQuery {
  readonly cloud: CloudName;
  /** Absent means all regions of the catalog; unknown ones have no offers. */
  readonly regions?: readonly string[];
  /** Whether the hardware behind these offers is pretended. */
  readonly emulated: boolean;
  /** Replaces the catalog's boot times, for a cloud that is known to differ. */
  readonly bootMs?: number;
  /** Prices read from the clouds' lists, at most one sheet a region; those of others are ignored. */
  readonly sheets?: readonly PriceSheet[];
}

/** Nodes of one offer that a plan may count on while nothing else is known: an assumption. */
const UNOBSERVED_NODE_COUNT_MAX = 100;

/** The tables of one cloud. */
interface CloudCatalog {
  readonly shapes: ReadonlyMap<string, InstanceShape>;
  /** By region. */
  readonly prices: ReadonlyMap<string, readonly PricedType[]>;
  /** What a machine counts against; absent means its own family alone. */
  readonly quotaFamiliesOf?: (shape: InstanceShape, purchase: PurchaseOption) => readonly string[];
}

const NO_CATALOG: CloudCatalog = { shapes: new Map(), prices: new Map() };

const CATALOGS: Readonly<Partial<Record<CloudName, CloudCatalog>>> = {
  aws: {
    shapes: AWS_SHAPES,
    prices: pricesByRegion(
      [PRICES_AMERICAS, PRICES_EUROPE, PRICES_ASIA_PACIFIC, PRICES_MIDDLE_EAST_AFRICA],
      ofAwsRow,
    ),
  },
  azure: {
    shapes: AZURE_SHAPES,
    prices: pricesByRegion(
      [
        AZURE_PRICES_AMERICAS,
        AZURE_PRICES_EUROPE,
        AZURE_PRICES_ASIA_PACIFIC,
        AZURE_PRICES_MIDDLE_EAST_AFRICA,
      ],
      ofAzureRow,
    ),
    quotaFamiliesOf: azureQuotaFamilies,
  },
  gcp: {
    shapes: GCP_SHAPES,
    prices: pricesByRegion([GCP_PRICES_AMERICAS, GCP_PRICES_EUROPE, PRICES_ASIA_AFRICA], ofGcpRow),
  },
};

const HOURS_PER_MONTH = 730;

/** The middle of each bucket, a fraction a month; the open one is taken as 20 to 40 %. */
const MONTHLY_RECLAIM_FRACTION: Readonly<Record<InterruptionBucket, number>> = {
  "<5%": 0.025,
  "5-10%": 0.075,
  "10-15%": 0.125,
  "15-20%": 0.175,
  ">20%": 0.3,
};

/**
 * The offers of one cloud, one per (region, zone where the renter picks it, instance type,
 * purchase option), sorted by `offerId`. None for a cloud the catalog does not cover. O(offers).
 */
export function catalogOffers(query: CatalogQuery): readonly Offer[] {
  const { cloud, sheets = [] } = query;
  const { prices } = CATALOGS[cloud] ?? NO_CATALOG;
  const isZoned = [...prices.values()].some((rows) => rows.some(({ zone }) => zone !== undefined));
  const listed = new Map(
    sheets.filter((sheet) => sheet.cloud === cloud).map((sheet) => [sheet.region, sheet]),
  );
  const wanted = query.regions ?? [...prices.keys(), ...listed.keys()];
  return [...new Set(wanted)]
    .flatMap((region) =>
      withListedPrices(prices.get(region) ?? [], listed.get(region), isZoned).flatMap((priced) =>
        offersOf(query, region, priced),
      ),
    )
    .sort((a, b) => (a.offerId < b.offerId ? -1 : 1));
}

/** The regions the catalog has prices for, in ascending order. */
export function catalogRegions(cloud: CloudName): readonly string[] {
  return [...(CATALOGS[cloud] ?? NO_CATALOG).prices.keys()].sort();
}

/** The hardware of an instance type; undefined when the catalog does not know it. */
export function instanceShape(cloud: CloudName, instanceType: string): InstanceShape | undefined {
  return (CATALOGS[cloud] ?? NO_CATALOG).shapes.get(instanceType);
}

/** The hardware of all instance types that the catalog knows of a cloud, in no set order. */
export function catalogShapes(cloud: CloudName): readonly InstanceShape[] {
  return [...(CATALOGS[cloud] ?? NO_CATALOG).shapes.values()];
}

/** The canonical name of a quota group: all machines of one family, region and market. */
export function quotaGroupOf(
  place: { readonly cloud: CloudName; readonly region: string },
  quotaFamily: string,
  purchase: PurchaseOption,
): string {
  return `${place.cloud}/${place.region}/${quotaFamily}/${purchase}`;
}

function offersOf(query: CatalogQuery, region: string, priced: PricedType): readonly Offer[] {
  const { instanceType, zone, onDemandUsdPerHour, spot } = priced;
  const { cloud, emulated } = query;
  const { quotaFamiliesOf = ownFamily } = CATALOGS[cloud] ?? NO_CATALOG;
  const shape = instanceShape(cloud, instanceType);
  if (shape === undefined) return [];
  const offerAt = (purchase: PurchaseOption, price: DatedPrice, reclaims: number): Offer => {
    const offer: Omit<Offer, "offerId"> = {
      cloud,
      region,
      ...(zone === undefined ? {} : { zone }),
      instanceType,
      purchase,
      ...(shape.gpuType === undefined ? {} : { gpuType: shape.gpuType }),
      resources: shape.resources,
      priceMicroUsdPerHour: microUsdFromUsd(price.usdPerHour),
      ...(price.pricedAtMs === undefined ? {} : { pricedAtMs: price.pricedAtMs }),
      reclaimFractionPerHour: reclaims,
      bootMs: query.bootMs ?? shape.bootMs,
      nodeCountMax: UNOBSERVED_NODE_COUNT_MAX,
      quotaGroups: quotaFamiliesOf(shape, purchase).map((family) =>
        quotaGroupOf({ cloud, region }, family, purchase),
      ),
      emulated,
    };
    return { offerId: offerIdOf(offer), ...offer };
  };
  const onDemand = offerAt("on-demand", { ...priced, usdPerHour: onDemandUsdPerHour }, 0);
  if (spot === undefined) return [onDemand];
  return [onDemand, offerAt("spot", spot, reclaimFractionPerHour(spot.interruptions))];
}

/** A price, and when it was read where it is not a built-in one. */
interface DatedPrice {
  readonly usdPerHour: number;
  readonly pricedAtMs?: number;
}

/** Hourly rate h of a monthly fraction m under a constant hazard: h = 1 - (1 - m)^(1/730). */
function reclaimFractionPerHour(bucket: InterruptionBucket): number {
  return 1 - (1 - MONTHLY_RECLAIM_FRACTION[bucket]) ** (1 / HOURS_PER_MONTH);
}

function pricesByRegion<Row>(
  parts: readonly Readonly<Record<string, readonly Row[]>>[],
  read: (row: Row, region: string) => readonly PricedType[],
): ReadonlyMap<string, readonly PricedType[]> {
  return new Map(
    parts
      .flatMap((part) => Object.entries(part))
      .map(([region, rows]) => [region, rows.flatMap((row) => read(row, region))] as const),
  );
}

function ofAwsRow(row: PriceRow): readonly PricedType[] {
  const [instanceType, onDemandUsdPerHour] = row;
  if (row.length === 2) return [{ instanceType, onDemandUsdPerHour }];
  const [, , usdPerHour, interruptions] = row;
  return [{ instanceType, onDemandUsdPerHour, spot: { usdPerHour, interruptions } }];
}

function ofAzureRow(row: AzurePriceRow): readonly PricedType[] {
  const [instanceType, onDemandUsdPerHour, usdPerHour] = row;
  if (usdPerHour === undefined) return [{ instanceType, onDemandUsdPerHour }];
  return [{ instanceType, onDemandUsdPerHour, spot: { usdPerHour, interruptions: ">20%" } }];
}

/** A zone must be named to rent there, so each zone is an offer of its own. */
function ofGcpRow(row: ZonedPriceRow, region: string): readonly PricedType[] {
  const [instanceType, zoneLetters, onDemandUsdPerHour, usdPerHour] = row;
  return Array.from(zoneLetters, (letter) => ({
    instanceType,
    zone: `${region}-${letter}`,
    onDemandUsdPerHour,
    ...(usdPerHour === undefined ? {} : { spot: { usdPerHour, interruptions: ">20%" } }),
  }));
}

function ownFamily({ quotaFamily }: InstanceShape): readonly string[] {
  return [quotaFamily];
}
