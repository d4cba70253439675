/**
 * The Azure virtual machine sizes of the catalog.
 *
 * Source of vCPUs, memory and GPUs: the price list named in `../offers.ts`. `H100` stands for
 * the SXM card of the ND sizes and for the NVL card of the NC sizes. Sizes with a part of a GPU
 * are left out, and so are the NCv3 and NDv2 families (V100), which Azure retired in 2025.
 * Source of the quota families: the `family` that Azure's resource SKUs give for a size, which
 * is also the name of its usage counter (Compute API, Resource Skus and Usage, read 2026-11).
 */
import type { GpuType, PurchaseOption } from "../../../core/index.ts";
import type { InstanceShape } from "../shape.ts";

/**
 * Boot times are planning assumptions, not measurements: a virtual machine with drivers in its
 * image, and the longer allocation of eight-GPU hosts.
 */
const BOOT_MS = { cpu: 60_000, gpu: 120_000, gpuHost: 300_000 } as const;
const GPU_HOST_GPU_COUNT = 8;

type SizeRow = readonly [name: string, gpuCount: number, vcpuCount: number, memoryGiB: number];

interface Family {
  readonly quotaFamily: string;
  readonly gpuType?: GpuType;
  readonly sizes: readonly SizeRow[];
}

const FAMILIES: readonly Family[] = [
  {
    quotaFamily: "standardNDSH200v5Family",
    gpuType: "H200",
    sizes: [["ND96isr_H200_v5", 8, 96, 1850]],
  },
  {
    quotaFamily: "standardNDSH100v5Family",
    gpuType: "H100",
    sizes: [["ND96isr_H100_v5", 8, 96, 1900]],
  },
  {
    quotaFamily: "standardNCadsH100v5Family",
    gpuType: "H100",
    sizes: [
      ["NC40ads_H100_v5", 1, 40, 320],
      ["NC80adis_H100_v5", 2, 80, 640],
    ],
  },
  {
    quotaFamily: "standardNDAMSv4_A100Family",
    gpuType: "A100-80GB",
    sizes: [["ND96amsr_A100_v4", 8, 96, 1800]],
  },
  {
    quotaFamily: "standardNDASv4_A100Family",
    gpuType: "A100-40GB",
    sizes: [["ND96asr_v4", 8, 96, 900]],
  },
  {
    quotaFamily: "standardNCADSA100v4Family",
    gpuType: "A100-80GB",
    sizes: [
      ["NC24ads_A100_v4", 1, 24, 220],
      ["NC48ads_A100_v4", 2, 48, 440],
      ["NC96ads_A100_v4", 4, 96, 880],
    ],
  },
  {
    quotaFamily: "standardNVADSA10v5Family",
    gpuType: "A10",
    sizes: [
      ["NV36ads_A10_v5", 1, 36, 440],
      ["NV36adms_A10_v5", 1, 36, 880],
      ["NV72ads_A10_v5", 2, 72, 880],
    ],
  },
  {
    quotaFamily: "standardNCADSA10v4Family",
    gpuType: "A10",
    sizes: [
      ["NC8ads_A10_v4", 1, 8, 100],
      ["NC16ads_A10_v4", 1, 16, 200],
      ["NC32ads_A10_v4", 2, 32, 400],
    ],
  },
  {
    quotaFamily: "standardNCASv3_T4Family",
    gpuType: "T4",
    sizes: [
      ["NC4as_T4_v3", 1, 4, 28],
      ["NC8as_T4_v3", 1, 8, 56],
      ["NC16as_T4_v3", 1, 16, 110],
      ["NC64as_T4_v3", 4, 64, 440],
    ],
  },
  {
    quotaFamily: "standardDSv5Family",
    sizes: [
      ["D4s_v5", 0, 4, 16],
      ["D16s_v5", 0, 16, 64],
    ],
  },
  { quotaFamily: "standardESv5Family", sizes: [["E16s_v5", 0, 16, 128]] },
  { quotaFamily: "standardFSv2Family", sizes: [["F16s_v2", 0, 16, 32]] },
];

/** The usage counters of all vCPUs of a region, and of all of its spot vCPUs. */
export const AZURE_TOTAL_QUOTA = "cores";
export const AZURE_SPOT_QUOTA = "lowPriorityCores";

/**
 * The usage counters that a machine counts against: spot machines against one for all of them,
 * others against their family's and the region's.
 */
export function azureQuotaFamilies(
  { quotaFamily }: InstanceShape,
  purchase: PurchaseOption,
): readonly string[] {
  return purchase === "spot" ? [AZURE_SPOT_QUOTA] : [quotaFamily, AZURE_TOTAL_QUOTA];
}

/** The shapes of all Azure sizes that the catalog knows, by size. */
export const AZURE_SHAPES: ReadonlyMap<string, InstanceShape> = new Map(
  FAMILIES.flatMap((family) =>
    family.sizes.map((size) => {
      const shape = shapeOf(family, size);
      return [shape.instanceType, shape] as const;
    }),
  ),
);

function shapeOf(
  { quotaFamily, gpuType }: Family,
  [name, gpuCount, vcpuCount, memoryGiB]: SizeRow,
): InstanceShape {
  const kind = gpuCount === 0 ? "cpu" : gpuCount >= GPU_HOST_GPU_COUNT ? "gpuHost" : "gpu";
  return {
    instanceType: `Standard_${name}`,
    ...(gpuType === undefined ? {} : { gpuType }),
    resources: { gpuCount, cpuMilli: vcpuCount * 1000, memoryMiB: memoryGiB * 1024 },
    vcpuCount,
    quotaFamily,
    bootMs: BOOT_MS[kind],
  };
}
