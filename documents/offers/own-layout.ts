/** Offers from our own table: one row is one offer, in the units of the core. */
import {
  CLOUD_NAMES,
  GPU_TYPES,
  MS_PER_SECOND,
  offerIdOf,
  type GpuType,
  type Offer,
} from "../../core/index.ts";
import type { Cells } from "../cells.ts";
import { ASSUMED_NODE_COUNT_MAX, assumedBootMs } from "./catalog-layout.ts";

const PURCHASES = ["on-demand", "spot", "reserved"] as const;

/** Columns that must be there. */
export const OWN_COLUMNS = [
  ...["cloud", "region", "instance_type", "purchase", "gpu", "gpu_count", "cpu_milli"],
  ...["memory_mib", "usd_per_hour"],
];

/** Columns that may be there. */
export const OWN_OPTIONAL_COLUMNS = [
  ...["offer_id", "zone", "reclaim_fraction_per_hour", "boot_s", "launch_failure_fraction"],
  ...["node_count_max", "quota_groups"],
];

/** The offer of one row. @throws PlatformError for a row that is wrong. */
export function ownOffer(cells: Cells): Offer {
  const zone = cells.textOrNone("zone");
  const gpuCount = cells.wholeOrNone("gpu_count") ?? 0;
  const gpuType = gpuOf(cells, gpuCount);
  const failures = failureFraction(cells);
  const bootS = cells.amountOrNone("boot_s");
  const purchase = cells.oneOf("purchase", PURCHASES);
  const offer: Omit<Offer, "offerId"> = {
    cloud: cells.oneOf("cloud", CLOUD_NAMES),
    region: cells.text("region"),
    ...(zone === undefined ? {} : { zone }),
    instanceType: cells.text("instance_type"),
    purchase,
    ...(gpuType === undefined ? {} : { gpuType }),
    resources: {
      gpuCount,
      cpuMilli: Math.round(cells.amount("cpu_milli")),
      memoryMiB: Math.round(cells.amount("memory_mib")),
    },
    priceMicroUsdPerHour: priceOf(cells),
    reclaimFractionPerHour: reclaimsOf(cells, purchase),
    bootMs: bootS === undefined ? assumedBootMs(gpuCount) : Math.round(bootS * MS_PER_SECOND),
    ...(failures === undefined ? {} : { launchFailureFraction: failures }),
    nodeCountMax: nodeCountMaxOf(cells, purchase),
    quotaGroups: groupsOf(cells),
    emulated: false,
  };
  return { offerId: cells.textOrNone("offer_id") ?? offerIdOf(offer), ...offer };
}

function gpuOf(cells: Cells, gpuCount: number): GpuType | undefined {
  const isGiven = cells.textOrNone("gpu") !== undefined;
  if (isGiven !== gpuCount > 0) {
    throw cells.error("gpu and gpu_count must both be given, or gpu be empty and gpu_count 0");
  }
  return isGiven ? cells.oneOf("gpu", GPU_TYPES) : undefined;
}

function priceOf(cells: Cells): number {
  const price = cells.microUsdOrNone("usd_per_hour");
  if (price === undefined) throw cells.error("usd_per_hour is empty");
  return price;
}

function reclaimsOf(cells: Cells, purchase: Offer["purchase"]): number {
  const fraction = cells.amountOrNone("reclaim_fraction_per_hour", 1) ?? 0;
  if (purchase === "spot" || fraction === 0) return fraction;
  throw cells.error(`reclaim_fraction_per_hour is ${fraction}, but only spot is reclaimed`);
}

function failureFraction(cells: Cells): number | undefined {
  const fraction = cells.amountOrNone("launch_failure_fraction", 1);
  if (fraction !== 1) return fraction;
  throw cells.error("launch_failure_fraction must be below 1: an offer that always fails is none");
}

/** A commitment is to a number of nodes: that number must be said. */
function nodeCountMaxOf(cells: Cells, purchase: Offer["purchase"]): number {
  const count = cells.wholeOrNone("node_count_max");
  if (count !== undefined) return count;
  if (purchase !== "reserved") return ASSUMED_NODE_COUNT_MAX;
  throw cells.error("node_count_max is empty: reserved offers say how many nodes are committed");
}

function groupsOf(cells: Cells): readonly string[] {
  const names = (cells.textOrNone("quota_groups") ?? "").split(";").map((name) => name.trim());
  return [...new Set(names.filter((name) => name !== ""))];
}
