/**
 * Machine prices out of Compute Engine's SKUs, which price a core, a GiB and a GPU apart.
 *
 *     price = cores * core + memory in GiB * memory + GPUs * GPU
 *
 * The parts of a machine are told by the beginnings of their SKUs' descriptions, the same for
 * on-demand and Spot once "Spot Preemptible" is taken away. A4 machines are sold by the slice of
 * one GPU with its share of cores and memory. Local disks that come with a machine type have
 * SKUs of their own and are not counted, nor are discounts for sustained or committed use.
 *
 * Source: Cloud Billing API, `services.skus.list` (read 2026-11), for the shape. Descriptions are
 * meant for people and documented nowhere; these are the ones in use in 2026-11.
 */
import { z } from "zod";
import { microUsdFromUsd } from "../../core/index.ts";
import type { InstanceShape, ListedPrice } from "../catalog/index.ts";
import { inLayout } from "./layout.ts";

const MONEY = z.object({
  currencyCode: z.string().optional(),
  units: z.union([z.string(), z.number()]).optional(),
  nanos: z.number().optional(),
});

const SKU = z.object({
  description: z.string(),
  category: z.object({ resourceFamily: z.string().optional(), usageType: z.string().optional() }),
  serviceRegions: z.array(z.string()).default([]),
  pricingInfo: z
    .array(
      z.object({
        pricingExpression: z.object({
          usageUnit: z.string(),
          tieredRates: z.array(
            z.object({ startUsageAmount: z.number().optional(), unitPrice: MONEY }),
          ),
        }),
      }),
    )
    .default([]),
});

const PAGE = z.object({ skus: z.array(SKU).default([]), nextPageToken: z.string().default("") });

type Sku = z.infer<typeof SKU>;

/** One page of SKUs: those that price machines, and the token of the next page if any. */
export interface SkuPage {
  readonly skus: readonly PartPrice[];
  readonly nextPageToken: string | undefined;
}

/** The price of one part of machines, in some regions. */
export interface PartPrice {
  /** Without "Spot Preemptible". */
  readonly description: string;
  readonly purchase: ListedPrice["purchase"];
  readonly regions: readonly string[];
  readonly usdPerHour: number;
}

/** Reads one page. @throws PlatformError `unavailable` for another layout */
export function parseSkuPage(page: unknown): SkuPage {
  const { skus, nextPageToken } = inLayout(PAGE, page, "the list of Google Cloud's SKUs");
  return {
    skus: skus.flatMap((sku) => partPriceOf(sku) ?? []),
    nextPageToken: nextPageToken === "" ? undefined : nextPageToken,
  };
}

/** SKUs that price something else than a machine that anybody may rent by the hour. */
const OTHERS =
  /custom|premium|reserv|sole tenancy|commitment|\bDWS\b|defined duration|calendar mode/i;
const SPOT_PREFIX = /^Spot Preemptible /;
/** An hour; an hour of a GiB. */
const UNITS = ["h", "GiBy.h"];
const PURCHASES: Readonly<Record<string, ListedPrice["purchase"]>> = {
  OnDemand: "on-demand",
  Preemptible: "spot",
};
const NANOS = 1e9;

function partPriceOf(sku: Sku): PartPrice | undefined {
  const { description, category, serviceRegions: regions } = sku;
  const purchase = PURCHASES[category.usageType ?? ""];
  const usdPerHour = usdPerHourOf(sku);
  if (purchase === undefined || usdPerHour === undefined) return undefined;
  if (category.resourceFamily !== "Compute" || OTHERS.test(description)) return undefined;
  return { description: description.replace(SPOT_PREFIX, ""), purchase, regions, usdPerHour };
}

/** The price in force of one unit for an hour; undefined for other units, money, or for free. */
function usdPerHourOf({ pricingInfo }: Sku): number | undefined {
  // Prices come in the order of time: the last is the one in force.
  const expression = pricingInfo.at(-1)?.pricingExpression;
  if (expression === undefined || !UNITS.includes(expression.usageUnit)) return undefined;
  const [rate] = expression.tieredRates;
  const { currencyCode = "USD", units = 0, nanos = 0 } = rate?.unitPrice ?? {};
  const usdPerHour = Number(units) + nanos / NANOS;
  return currencyCode === "USD" && usdPerHour > 0 ? usdPerHour : undefined;
}

/** What a machine is made of, by the beginnings of descriptions; one of each list will do. */
interface Parts {
  /** Absent where cores and memory come with the GPU. */
  readonly cpu?: { readonly core: readonly string[]; readonly memory: readonly string[] };
  readonly gpu: readonly string[];
}

const GPU: Readonly<Partial<Record<string, readonly string[]>>> = {
  "A100-40GB": ["Nvidia Tesla A100 GPU"],
  "A100-80GB": ["Nvidia Tesla A100 80GB GPU"],
  H100: ["Nvidia H100 80GB GPU"],
  H200: ["Nvidia H200 141GB GPU", "H200 141GB GPU"],
  L4: ["Nvidia L4 GPU"],
  T4: ["Nvidia Tesla T4 GPU"],
  V100: ["Nvidia Tesla V100 GPU"],
};

const H100_MEGA = [
  "Nvidia H100 80GB Mega GPU",
  "Nvidia H100 Mega 80GB GPU",
  "Nvidia H100 80GB Plus GPU",
];

/** By the beginning of the machine type; the longest that fits counts. */
const SERIES: Readonly<Record<string, Pick<Parts, "cpu"> & Partial<Pick<Parts, "gpu">>>> = {
  "a2-": { cpu: cpuParts("A2 Instance") },
  "a3-": { cpu: cpuParts("A3 Instance") },
  "a3-megagpu-": { cpu: cpuParts("A3Plus Instance", "A3 Instance"), gpu: H100_MEGA },
  "a3-ultragpu-": { cpu: cpuParts("A3Ultra Instance", "A3 Ultra Instance") },
  "a4-": { gpu: ["A4 Nvidia B200 (1 gpu slice)", "Nvidia B200 (1 gpu slice)"] },
  "c3-": { cpu: cpuParts("C3 Instance") },
  "e2-": { cpu: cpuParts("E2 Instance") },
  "g2-": { cpu: cpuParts("G2 Instance") },
  "n1-": { cpu: cpuParts("N1 Predefined Instance") },
  "n2-": { cpu: cpuParts("N2 Instance") },
};

function cpuParts(...names: readonly string[]): NonNullable<Parts["cpu"]> {
  return {
    core: names.map((name) => `${name} Core`),
    memory: names.map((name) => `${name} Ram`),
  };
}

/**
 * The prices of machine types in every region where all their parts have one, sorted by region.
 * Of several prices of one part the highest counts. O(SKUs x regions + shapes x regions).
 *
 * @param shapes Machine types of series that are not known here have no price.
 */
export function composePrices(
  skus: readonly PartPrice[],
  shapes: readonly InstanceShape[],
): ReadonlyMap<string, readonly ListedPrice[]> {
  const board = new PartBoard(skus);
  const prices = new Map<string, ListedPrice[]>();
  for (const region of board.regions) {
    for (const shape of shapes) {
      for (const purchase of ["on-demand", "spot"] as const) {
        const usd = board.priceOf(shape, region, purchase);
        if (usd === undefined) continue;
        const { instanceType } = shape;
        const price = { instanceType, purchase, microUsdPerHour: microUsdFromUsd(usd) };
        prices.set(region, [...(prices.get(region) ?? []), price]);
      }
    }
  }
  return prices;
}

/** The prices of parts, by region and purchase option. */
class PartBoard {
  readonly #prices = new Map<string, PartPrice[]>();
  readonly regions: readonly string[];

  constructor(skus: readonly PartPrice[]) {
    const regions = new Set<string>();
    for (const sku of skus) {
      for (const region of sku.regions) {
        if (region === "global") continue;
        regions.add(region);
        const key = `${region}/${sku.purchase}`;
        const known = this.#prices.get(key);
        if (known === undefined) this.#prices.set(key, [sku]);
        else known.push(sku);
      }
    }
    this.regions = [...regions].sort();
  }

  priceOf(
    shape: InstanceShape,
    region: string,
    purchase: ListedPrice["purchase"],
  ): number | undefined {
    const parts = partsOf(shape);
    if (parts === undefined) return undefined;
    const { gpuCount, memoryMiB } = shape.resources;
    const amounts: readonly (readonly [names: readonly string[], amount: number])[] = [
      [parts.cpu?.core ?? [], parts.cpu === undefined ? 0 : shape.vcpuCount],
      [parts.cpu?.memory ?? [], parts.cpu === undefined ? 0 : memoryMiB / 1024],
      [parts.gpu, gpuCount],
    ];
    let usd = 0;
    for (const [names, amount] of amounts) {
      if (amount === 0) continue;
      const each = this.#partPrice(names, `${region}/${purchase}`);
      if (each === undefined) return undefined;
      usd += each * amount;
    }
    return usd;
  }

  /** By the first name that has a price. */
  #partPrice(names: readonly string[], key: string): number | undefined {
    const prices = this.#prices.get(key) ?? [];
    for (const name of names) {
      const own = prices.filter(({ description }) => description.startsWith(`${name} `));
      if (own.length > 0) return Math.max(...own.map(({ usdPerHour }) => usdPerHour));
    }
    return undefined;
  }
}

function partsOf({ instanceType, gpuType }: InstanceShape): Parts | undefined {
  const [series] = Object.keys(SERIES)
    .filter((beginning) => instanceType.startsWith(beginning))
    .sort((one, other) => other.length - one.length);
  if (series === undefined) return undefined;
  const { cpu, gpu = gpuType === undefined ? [] : (GPU[gpuType] ?? []) } = SERIES[series] ?? {};
  return { ...(cpu === undefined ? {} : { cpu }), gpu };
}
