/**
 * What machines are made of, by the names that Google prices: cores, memory, GPUs, slices.
 *
 * The catalog has prices of whole machine types. The parts' prices are those that come nearest to
 * them: of a machine of u core units (a core, and a GiB as 1/7.46 of one, which is the ratio of
 * N1 predefined) and n GPUs that costs p, with one x for each series and one c for each GPU,
 *
 *     minimise sum (p - x u - c n)^2
 *
 * which in two steps is x = sum(u' p') / sum(u' u') over what of u and p the GPUs do not explain.
 * Where cores and GPUs come in one proportion only, so that nothing tells them apart, cores are a
 * tenth of the price. A machine made of these parts costs what they add up to, which may differ a
 * little from the catalog.
 *
 * Source of the names: the descriptions of cloud.google.com/skus (read 2026-11).
 */
import { usdFromMicroUsd, type PurchaseOption } from "../../../../core/index.ts";
import { catalogOffers, instanceShape, type InstanceShape } from "../../../catalog/index.ts";

/** A part of a machine, and how much of it there is. */
export interface Part {
  /** The description of its SKU up to the purchase option and the region. */
  readonly name: string;
  readonly amount: number;
}

interface Series {
  readonly begins: string;
  /** Absent where cores and memory come with the GPU. */
  readonly cpu?: string;
  readonly gpu?: Readonly<Partial<Record<string, string>>>;
}

/** The more particular beginnings first. */
const SERIES: readonly Series[] = [
  {
    begins: "a2-",
    cpu: "A2 Instance",
    gpu: gpus({ "A100-40GB": "Tesla A100", "A100-80GB": "Tesla A100 80GB" }),
  },
  { begins: "a3-megagpu-", cpu: "A3Plus Instance", gpu: gpus({ H100: "H100 80GB Mega" }) },
  { begins: "a3-ultragpu-", cpu: "A3Ultra Instance", gpu: gpus({ H200: "H200 141GB" }) },
  { begins: "a3-", cpu: "A3 Instance", gpu: gpus({ H100: "H100 80GB" }) },
  { begins: "a4-", gpu: { B200: "A4 Nvidia B200 (1 gpu slice)" } },
  { begins: "c3-", cpu: "C3 Instance" },
  { begins: "e2-", cpu: "E2 Instance" },
  { begins: "g2-", cpu: "G2 Instance", gpu: gpus({ L4: "L4" }) },
  {
    begins: "n1-",
    cpu: "N1 Predefined Instance",
    gpu: gpus({ T4: "Tesla T4", V100: "Tesla V100" }),
  },
  { begins: "n2-", cpu: "N2 Instance" },
];

function gpus(models: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(models).map(([type, model]) => [type, `Nvidia ${model} GPU`]),
  );
}

/** A GiB costs so much of what a core does. */
const GIB_IN_CORES = 1 / 7.46;
const CPU_SHARE_UNKNOWN = 0.1;

/** Cores of a series, memory of it, GPUs. */
export function partsOf(shape: InstanceShape): readonly Part[] {
  const { cpu, gpu } = namesOf(shape);
  const { gpuCount, memoryMiB } = shape.resources;
  return [
    ...(cpu === undefined
      ? []
      : [
          { name: `${cpu} Core`, amount: shape.vcpuCount },
          { name: `${cpu} Ram`, amount: memoryMiB / 1_024 },
        ]),
    ...(gpu === undefined || gpuCount === 0 ? [] : [{ name: gpu, amount: gpuCount }]),
  ];
}

/** The part whose price is that of the machine in the first place. */
export function mainPartOf(shape: InstanceShape): Part | undefined {
  const parts = partsOf(shape);
  return shape.resources.gpuCount > 0 ? parts.at(-1) : parts[0];
}

/** Prices of all parts in a region, by name, in USD per hour. O(machine types). */
export function partPrices(region: string, purchase: PurchaseOption): ReadonlyMap<string, number> {
  const offers = catalogOffers({ cloud: "gcp", regions: [region], emulated: true });
  const sold = new Map(
    offers.filter((one) => one.purchase === purchase).map((one) => [one.instanceType, one]),
  );
  const machines = [...sold.values()].flatMap(({ instanceType, priceMicroUsdPerHour }) => {
    const shape = instanceShape("gcp", instanceType);
    if (shape === undefined) return [];
    const { cpu = "", gpu = "" } = namesOf(shape);
    const { gpuCount, memoryMiB } = shape.resources;
    const units = cpu === "" ? 0 : shape.vcpuCount + (memoryMiB / 1_024) * GIB_IN_CORES;
    return [{ cpu, gpu, gpuCount, units, usd: usdFromMicroUsd(priceMicroUsdPerHour) }];
  });
  const prices = new Map<string, number>();
  for (const [cpu, ofSeries] of Map.groupBy(machines, (machine) => machine.cpu)) {
    const usdPerUnit = cpu === "" ? 0 : unitPriceOf(ofSeries);
    if (cpu !== "")
      prices.set(`${cpu} Core`, usdPerUnit).set(`${cpu} Ram`, usdPerUnit * GIB_IN_CORES);
    for (const [gpu, ofGpu] of Map.groupBy(ofSeries, (machine) => machine.gpu)) {
      const rest = ofGpu.map((one) => ({ ...one, usd: one.usd - usdPerUnit * one.units }));
      if (gpu !== "")
        prices.set(
          gpu,
          alongGpus(rest, ({ usd }) => usd),
        );
    }
  }
  return prices;
}

interface Machine {
  readonly gpu: string;
  readonly gpuCount: number;
  readonly units: number;
  readonly usd: number;
}

/** x of the formula above: at most what leaves every GPU a price. */
function unitPriceOf(machines: readonly Machine[]): number {
  let [top, bottom] = [0, 0];
  for (const [gpu, own] of Map.groupBy(machines, (machine) => machine.gpu)) {
    const unitsEach = gpu === "" ? 0 : alongGpus(own, ({ units }) => units);
    const usdEach = gpu === "" ? 0 : alongGpus(own, ({ usd }) => usd);
    for (const { units, usd, gpuCount } of own) {
      const rest = units - unitsEach * gpuCount;
      top += rest * (usd - usdEach * gpuCount);
      bottom += rest * rest;
    }
  }
  const unknown = Math.min(...machines.map(({ usd, units }) => (usd / units) * CPU_SHARE_UNKNOWN));
  const isTold = bottom > 1 && top > 0;
  const hasGpus = machines.some(({ gpuCount }) => gpuCount > 0);
  if (!isTold) return unknown;
  const most = Math.min(...machines.map(({ usd, units }) => (usd / units) * 0.9));
  return hasGpus ? Math.min(top / bottom, most) : top / bottom;
}

/** What one GPU has of something, by least squares. */
function alongGpus(machines: readonly Machine[], of: (machine: Machine) => number): number {
  const top = machines.reduce((sum, one) => sum + of(one) * one.gpuCount, 0);
  return top / machines.reduce((sum, { gpuCount }) => sum + gpuCount * gpuCount, 0);
}

function namesOf({ instanceType, gpuType }: InstanceShape): { cpu?: string; gpu?: string } {
  const series = SERIES.find(({ begins }) => instanceType.startsWith(begins));
  const gpu = gpuType === undefined ? undefined : series?.gpu?.[gpuType];
  return {
    ...(series?.cpu === undefined ? {} : { cpu: series.cpu }),
    ...(gpu === undefined ? {} : { gpu }),
  };
}
