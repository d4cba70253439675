/**
 * The Google Cloud machine types of the catalog.
 *
 * `n1-standard-8+2xT4` is a general machine type with accelerators attached to it; of all others
 * the GPUs belong to the machine type.
 *
 * Source of vCPUs, memory and GPUs: github.com/anycloud-sh/catalog at 62ff0a98 (2026-05-20),
 * gcp/vms.csv. Source of the quota metrics: `Quota.Metric` in compute.proto of
 * @google-cloud/compute 7.8.0; those of H200, B200 and H100 Mega are not in that list and follow
 * its pattern.
 */
import type { GpuType } from "../../../core/index.ts";
import type { InstanceShape } from "../shape.ts";

/**
 * Boot times are planning assumptions, not measurements: a machine image with drivers on a
 * virtual machine, and the longer power-on checks of hosts with eight GPUs or more.
 */
const BOOT_MS = { cpu: 40_000, gpu: 80_000, gpuHost: 210_000 } as const;
const GPU_HOST_GPU_COUNT = 8;

/** `gpuCount` GPUs with so many vCPUs and so much memory. */
type SizeRow = readonly [name: string, gpuCount: number, vcpuCount: number, memoryGiB: number];

interface MachineFamily {
  readonly gpuType?: GpuType;
  readonly quotaMetric: string;
  readonly sizes: readonly SizeRow[];
}

const FAMILIES: readonly MachineFamily[] = [
  { gpuType: "B200", quotaMetric: "NVIDIA_B200_GPUS", sizes: [["a4-highgpu-8g", 8, 224, 3968]] },
  { gpuType: "H200", quotaMetric: "NVIDIA_H200_GPUS", sizes: [["a3-ultragpu-8g", 8, 224, 2952]] },
  {
    gpuType: "H100",
    quotaMetric: "NVIDIA_H100_MEGA_GPUS",
    sizes: [["a3-megagpu-8g", 8, 208, 1872]],
  },
  {
    gpuType: "H100",
    quotaMetric: "NVIDIA_H100_GPUS",
    sizes: [1, 2, 4, 8].map((gpus) => [`a3-highgpu-${gpus}g`, gpus, 26 * gpus, 234 * gpus]),
  },
  {
    gpuType: "A100-80GB",
    quotaMetric: "NVIDIA_A100_80GB_GPUS",
    sizes: [1, 2, 4, 8].map((gpus) => [`a2-ultragpu-${gpus}g`, gpus, 12 * gpus, 170 * gpus]),
  },
  {
    gpuType: "A100-40GB",
    quotaMetric: "NVIDIA_A100_GPUS",
    sizes: [
      ...[1, 2, 4, 8].map((gpus) => [`a2-highgpu-${gpus}g`, gpus, 12 * gpus, 85 * gpus] as const),
      ["a2-megagpu-16g", 16, 96, 1360],
    ],
  },
  {
    gpuType: "V100",
    quotaMetric: "NVIDIA_V100_GPUS",
    sizes: [1, 2, 4, 8].map((gpus) => attachedTo("V100", gpus)),
  },
  {
    gpuType: "T4",
    quotaMetric: "NVIDIA_T4_GPUS",
    sizes: [1, 2, 4].map((gpus) => attachedTo("T4", gpus)),
  },
  {
    gpuType: "L4",
    quotaMetric: "NVIDIA_L4_GPUS",
    sizes: [
      ["g2-standard-4", 1, 4, 16],
      ["g2-standard-8", 1, 8, 32],
      ["g2-standard-12", 1, 12, 48],
      ["g2-standard-16", 1, 16, 64],
      ["g2-standard-24", 2, 24, 96],
      ["g2-standard-32", 1, 32, 128],
      ["g2-standard-48", 4, 48, 192],
      ["g2-standard-96", 8, 96, 384],
    ],
  },
  { quotaMetric: "C3_CPUS", sizes: [["c3-standard-22", 0, 22, 88]] },
  {
    quotaMetric: "N2_CPUS",
    sizes: [
      ["n2-standard-4", 0, 4, 16],
      ["n2-standard-16", 0, 16, 64],
    ],
  },
  { quotaMetric: "CPUS", sizes: [["e2-standard-8", 0, 8, 32]] },
];

/** The shapes of all Google Cloud machine types that the catalog knows, by instance type. */
export const GCP_SHAPES: ReadonlyMap<string, InstanceShape> = new Map(
  FAMILIES.flatMap((family) =>
    family.sizes.map((size) => [size[0], machineShape(family, size)] as const),
  ),
);

/** An n1 machine with eight vCPUs for each GPU attached to it, as the price list has them. */
function attachedTo(gpuType: GpuType, gpuCount: number): SizeRow {
  const vcpuCount = 8 * gpuCount;
  return [`n1-standard-${vcpuCount}+${gpuCount}x${gpuType}`, gpuCount, vcpuCount, vcpuCount * 3.75];
}

function machineShape(
  { gpuType, quotaMetric }: MachineFamily,
  [instanceType, gpuCount, vcpuCount, memoryGiB]: SizeRow,
): InstanceShape {
  const kind = gpuCount >= GPU_HOST_GPU_COUNT ? "gpuHost" : "gpu";
  return {
    instanceType,
    ...(gpuType === undefined ? {} : { gpuType }),
    resources: { gpuCount, cpuMilli: vcpuCount * 1000, memoryMiB: memoryGiB * 1024 },
    vcpuCount,
    quotaFamily: quotaMetric,
    bootMs: BOOT_MS[gpuCount === 0 ? "cpu" : kind],
  };
}
