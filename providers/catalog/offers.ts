/**
 * The built-in catalog: which instance types there are, where, and at what price.
 *
 * Figures are kept in the source so that a plan can be made with no network. Sources:
 * - AWS on-demand: github.com/tsaol/aws-gpu at 77fcd9fe, which took them from
 *   instances.vantage.sh on 2025-11-30; machines without GPUs: the generated price table of
 *   github.com/aws/karpenter-provider-aws (2026-07-20), which has us-east-1 only.
 * - AWS spot: on-demand less the savings of the AWS Spot Advisor (snapshot of 2025-07-28 in
 *   github.com/alexei-led/spotinfo at 05e93313), so a monthly average and not a quote.
 * - Reclaims: the Spot Advisor's bucket of interruptions per month, of the same snapshot.
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
import type { InterruptionBucket, PriceRow } from "./aws/price-row.ts";
import { AWS_SHAPES } from "./aws/shapes.ts";
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
}

/** Nodes of one offer that a plan may count on while nothing else is known: an assumption. */
const UNOBSERVED_NODE_COUNT_MAX = 100;

const AWS_PRICES: ReadonlyMap<string, readonly PriceRow[]> = new Map(
  [PRICES_AMERICAS, PRICES_EUROPE, PRICES_ASIA_PACIFIC].flatMap((part) => Object.entries(part)),
);

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
 * The offers of one cloud, one per (region, instance type, purchase option), sorted by
 * `offerId`. None for a cloud the catalog does not cover. O(offers).
 */
export function catalogOffers(query: CatalogQuery): readonly Offer[] {
  if (query.cloud !== "aws") return [];
  const wanted = query.regions ?? catalogRegions("aws");
  return [...new Set(wanted)]
    .flatMap((region) =>
      (AWS_PRICES.get(region) ?? []).flatMap((row) => offersOfRow(query, region, row)),
    )
    .sort((a, b) => (a.offerId < b.offerId ? -1 : 1));
}

/** The regions the catalog has prices for, in ascending order. */
export function catalogRegions(cloud: CloudName): readonly string[] {
  return cloud === "aws" ? [...AWS_PRICES.keys()].sort() : [];
}

/** The hardware of an instance type; undefined when the catalog does not know it. */
export function instanceShape(cloud: CloudName, instanceType: string): InstanceShape | undefined {
  return cloud === "aws" ? AWS_SHAPES.get(instanceType) : undefined;
}

/** The canonical name of a quota group: all machines of one family, region and market. */
export function quotaGroupOf(
  place: { readonly cloud: CloudName; readonly region: string },
  quotaFamily: string,
  purchase: PurchaseOption,
): string {
  return `${place.cloud}/${place.region}/${quotaFamily}/${purchase}`;
}

function offersOfRow(query: CatalogQuery, region: string, row: PriceRow): readonly Offer[] {
  const [instanceType, onDemandUsdPerHour] = row;
  const shape = AWS_SHAPES.get(instanceType);
  if (shape === undefined) return [];
  const offerAt = (purchase: PurchaseOption, usdPerHour: number, reclaims: number): Offer => {
    const offer: Omit<Offer, "offerId"> = {
      cloud: query.cloud,
      region,
      instanceType,
      purchase,
      ...(shape.gpuType === undefined ? {} : { gpuType: shape.gpuType }),
      resources: shape.resources,
      priceMicroUsdPerHour: microUsdFromUsd(usdPerHour),
      reclaimFractionPerHour: reclaims,
      bootMs: query.bootMs ?? shape.bootMs,
      nodeCountMax: UNOBSERVED_NODE_COUNT_MAX,
      quotaGroups: [quotaGroupOf({ cloud: query.cloud, region }, shape.quotaFamily, purchase)],
      emulated: query.emulated,
    };
    return { offerId: offerIdOf(offer), ...offer };
  };
  const onDemand = offerAt("on-demand", onDemandUsdPerHour, 0);
  if (row.length === 2) return [onDemand];
  const [, , spotUsdPerHour, interruptions] = row;
  return [onDemand, offerAt("spot", spotUsdPerHour, reclaimFractionPerHour(interruptions))];
}

/** Hourly rate h of a monthly fraction m under a constant hazard: h = 1 - (1 - m)^(1/730). */
function reclaimFractionPerHour(bucket: InterruptionBucket): number {
  return 1 - (1 - MONTHLY_RECLAIM_FRACTION[bucket]) ** (1 / HOURS_PER_MONTH);
}
