/** GPU types a function may ask for, one canonical name each. */
export const GPU_TYPES = [
  "T4",
  "L4",
  "A10",
  "V100",
  "L40S",
  "A100-40GB",
  "A100-80GB",
  "RTX-PRO-6000",
  "H100",
  "H200",
  "B200",
  "B300",
] as const;

export type GpuType = (typeof GPU_TYPES)[number];

/** Whether a text is one of the canonical names. */
export function isGpuType(text: string): text is GpuType {
  return GPU_TYPES.some((type) => type === text);
}

/** Clouds that offers may name; the platform rents from those that have a provider. */
export const CLOUD_NAMES = ["aws", "gcp", "azure", "lambda", "vast", "local", "fake"] as const;
export type CloudName = (typeof CLOUD_NAMES)[number];

export const PURCHASE_OPTIONS = ["on-demand", "spot", "reserved"] as const;
export type PurchaseOption = (typeof PURCHASE_OPTIONS)[number];

export type CpuArchitecture = "x64" | "arm64";

/** How the GPUs of one machine reach each other. */
export type GpuInterconnect = "pcie" | "nvlink";

/** Amounts of what a node has or a container takes. All are >= 0. */
export interface Resources {
  /** Whole GPUs, or a fraction of one for a shared GPU. */
  readonly gpuCount: number;
  /** Thousandths of a virtual core. */
  readonly cpuMilli: number;
  readonly memoryMiB: number;
  /** Local disk; absent on a node means that it is not counted, in needs that none is asked. */
  readonly diskMiB?: number;
}

/** Something a provider will rent now. */
export interface Offer {
  /** `cloud/region/zone-or-*` + `/instanceType/purchase`; unique, stable between listings. */
  readonly offerId: string;
  readonly cloud: CloudName;
  readonly region: string;
  /** Absent when the provider picks the zone. */
  readonly zone?: string;
  readonly instanceType: string;
  readonly purchase: PurchaseOption;
  /** Absent on machines without GPUs. */
  readonly gpuType?: GpuType;
  /** What one whole node has. */
  readonly resources: Resources;
  readonly priceMicroUsdPerHour: number;
  /** When the provider quoted the price; absent means that it is the catalog's. */
  readonly pricedAtMs?: number;
  /** Expected reclaims per node-hour as a fraction 0..1; 0 for on-demand. */
  readonly reclaimFractionPerHour: number;
  /** From an accepted rent to a registered agent. */
  readonly bootMs: number;
  /** Share of launches that failed lately, 0..1 and below 1; absent means none was seen. */
  readonly launchFailureFraction?: number;
  /**
   * Most nodes of this offer that can be had now, as far as is known; for `reserved` the nodes
   * that are committed and paid for, used or not.
   */
  readonly nodeCountMax: number;
  /** Quota groups whose limits this offer counts against (cloud, region, family, market). */
  readonly quotaGroups: readonly string[];
  /** True when the hardware is pretended (an emulated cloud); shown in every listing. */
  readonly emulated: boolean;
}

/** The canonical id of an offer. */
export function offerIdOf(offer: Omit<Offer, "offerId">): string {
  const place = `${offer.cloud}/${offer.region}/${offer.zone ?? "*"}`;
  return `${place}/${offer.instanceType}/${offer.purchase}`;
}
