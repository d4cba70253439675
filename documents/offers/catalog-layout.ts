/**
 * Offers from a public price list: one row is up to one on-demand and one spot offer.
 *
 * Reclaims: the list gives the AWS Spot Advisor's bucket of interruptions per month. With m the
 * middle of the bucket (0.025, 0.075, 0.125, 0.175; 0.3 for the open one) and a constant hazard,
 * an hour has h = 1 - (1 - m)^(1/730). Spot rows without a bucket (other clouds publish none)
 * take that of the worst, `>20%`: an assumption on the safe side.
 *
 * Reserved prices are not read: what is committed is a fact of an account, not of a price list.
 * Boot times and the number of nodes that can be had are assumptions too; a list has neither.
 */
import {
  CLOUD_NAMES,
  MS_PER_SECOND,
  offerIdOf,
  type GpuType,
  type Offer,
} from "../../core/index.ts";
import type { Cells } from "../cells.ts";
import { canonicalGpu } from "./gpu-names.ts";

/** Columns that are read; the list may have more. */
export const CATALOG_COLUMNS = [
  ...["cloud", "region", "zone", "instance_type", "gpu", "gpu_count", "gpu_mem_gib", "vcpus"],
  ...["mem_gib", "ondemand_usd_h", "spot_usd_h", "aws_interruption_bucket"],
];

/** Nodes of one offer that a plan may count on while nothing else is known. */
export const ASSUMED_NODE_COUNT_MAX = 100;

/** Planning assumptions, not measurements; hosts of eight GPUs check themselves longer. */
const BOOT_MS = {
  cpu: 45 * MS_PER_SECOND,
  gpu: 90 * MS_PER_SECOND,
  gpuHost: 240 * MS_PER_SECOND,
} as const;
const GPU_HOST_GPU_COUNT = 8;

const HOURS_PER_MONTH = 730;
const BUCKETS = ["<5%", "5-10%", "10-15%", "15-20%", ">20%"] as const;
const MONTHLY_RECLAIM_FRACTION: Readonly<Record<(typeof BUCKETS)[number], number>> = {
  "<5%": 0.025,
  "5-10%": 0.075,
  "10-15%": 0.125,
  "15-20%": 0.175,
  ">20%": 0.3,
};

/** Why a row can give no offer, and what of: the name of the GPU, say. */
export interface Unusable {
  readonly passedOver: string;
  readonly name?: string;
}

/** A row's offers, or why it can give none. */
export type RowReading = { readonly offers: readonly Offer[] } | Unusable;

/** The offers of one row. @throws PlatformError for a row that is wrong. */
export function catalogOffers(cells: Cells): RowReading {
  const place = placeOf(cells);
  const hardware = hardwareOf(cells);
  const onDemand = cells.microUsdOrNone("ondemand_usd_h");
  const spot = cells.microUsdOrNone("spot_usd_h");
  const bucket = bucketOf(cells);
  if ("passedOver" in place) return place;
  if ("passedOver" in hardware) return hardware;
  const offerAt = (purchase: "on-demand" | "spot", priceMicroUsdPerHour: number): Offer => {
    const { cloud, region } = place;
    const offer: Omit<Offer, "offerId"> = {
      ...place,
      purchase,
      ...hardware,
      priceMicroUsdPerHour,
      reclaimFractionPerHour: purchase === "spot" ? hourly(bucket) : 0,
      bootMs: assumedBootMs(hardware.resources.gpuCount),
      nodeCountMax: ASSUMED_NODE_COUNT_MAX,
      quotaGroups: [
        cloud,
        `${cloud}/${region}`,
        `${cloud}/${region}/${purchase}`,
        `${cloud}/${region}/${hardware.gpuType ?? "cpu"}/${purchase}`,
      ],
      emulated: false,
    };
    return { offerId: offerIdOf(offer), ...offer };
  };
  const offers = [
    ...(onDemand === undefined ? [] : [offerAt("on-demand", onDemand)]),
    ...(spot === undefined ? [] : [offerAt("spot", spot)]),
  ];
  return offers.length === 0 ? { passedOver: "no price" } : { offers };
}

/** From an accepted rent to a registered agent, while nothing better is known. */
export function assumedBootMs(gpuCount: number): number {
  if (gpuCount === 0) return BOOT_MS.cpu;
  return gpuCount >= GPU_HOST_GPU_COUNT ? BOOT_MS.gpuHost : BOOT_MS.gpu;
}

type Place = Pick<Offer, "cloud" | "region" | "zone" | "instanceType">;

function placeOf(cells: Cells): Place | Unusable {
  const name = cells.text("cloud");
  const region = cells.text("region");
  const zone = cells.textOrNone("zone");
  const instanceType = cells.text("instance_type");
  const cloud = CLOUD_NAMES.find((known) => known === name);
  if (cloud === undefined) return { passedOver: "a cloud without a name here", name };
  return { cloud, region, ...(zone === undefined ? {} : { zone }), instanceType };
}

interface Hardware {
  readonly gpuType?: GpuType;
  readonly resources: Offer["resources"];
}

function hardwareOf(cells: Cells): Hardware | Unusable {
  const listed = cells.textOrNone("gpu");
  const gpuCount = cells.amount("gpu_count");
  const memoryGib = cells.amountOrNone("gpu_mem_gib");
  const resources = {
    gpuCount,
    cpuMilli: Math.round(cells.amount("vcpus") * 1_000),
    memoryMiB: Math.round(cells.amount("mem_gib") * 1_024),
  };
  if ((listed === undefined) !== (gpuCount === 0)) {
    throw cells.error(`gpu is "${listed ?? ""}" but gpu_count is ${gpuCount}`);
  }
  if (listed === undefined) return { resources };
  if (!Number.isInteger(gpuCount)) return { passedOver: "a slice of a GPU (vGPU)" };
  const gpuType = canonicalGpu(listed, gpuCount, memoryGib);
  if (gpuType === undefined) return { passedOver: "a GPU type without a name here", name: listed };
  return { gpuType, resources };
}

function bucketOf(cells: Cells): (typeof BUCKETS)[number] {
  const isGiven = cells.textOrNone("aws_interruption_bucket") !== undefined;
  return isGiven ? cells.oneOf("aws_interruption_bucket", BUCKETS) : ">20%";
}

function hourly(bucket: (typeof BUCKETS)[number]): number {
  return 1 - (1 - MONTHLY_RECLAIM_FRACTION[bucket]) ** (1 / HOURS_PER_MONTH);
}
