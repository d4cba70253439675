/**
 * The AWS instance types of the catalog.
 *
 * Source of vCPUs, memory and GPUs: the instance type reference of
 * github.com/aws/karpenter-provider-aws at 1d927085 (2026-08-21). `A10` is the canonical name
 * of the A10G. Memory is the machine's nominal figure; what an agent reports is the truth.
 * Source of the quota families: the names of the EC2 service quotas ("Running On-Demand P
 * instances", "... G and VT instances", "... Standard (A, C, D, H, I, M, R, T, Z) instances").
 */
import type { GpuType } from "../../../core/index.ts";
import type { InstanceShape } from "../shape.ts";

/**
 * Boot times are planning assumptions, not measurements: a machine image with drivers on a
 * virtual machine, and the longer power-on checks of eight-GPU hosts.
 */
const BOOT_MS = { cpu: 45_000, gpu: 90_000, gpuHost: 240_000 } as const;
const GPU_HOST_GPU_COUNT = 8;

type SizeRow = readonly [size: string, gpuCount: number, vcpuCount: number, memoryGiB: number];

interface Family {
  readonly name: string;
  readonly gpuType?: GpuType;
  readonly quotaFamily: "P" | "G" | "Standard";
  readonly sizes: readonly SizeRow[];
}

const FAMILIES: readonly Family[] = [
  { name: "p6-b300", gpuType: "B300", quotaFamily: "P", sizes: [["48xlarge", 8, 192, 4096]] },
  { name: "p6-b200", gpuType: "B200", quotaFamily: "P", sizes: [["48xlarge", 8, 192, 2048]] },
  { name: "p5en", gpuType: "H200", quotaFamily: "P", sizes: [["48xlarge", 8, 192, 2048]] },
  {
    name: "p5",
    gpuType: "H100",
    quotaFamily: "P",
    sizes: [
      ["4xlarge", 1, 16, 256],
      ["48xlarge", 8, 192, 2048],
    ],
  },
  { name: "p4de", gpuType: "A100-80GB", quotaFamily: "P", sizes: [["24xlarge", 8, 96, 1152]] },
  { name: "p4d", gpuType: "A100-40GB", quotaFamily: "P", sizes: [["24xlarge", 8, 96, 1152]] },
  { name: "p3dn", gpuType: "V100", quotaFamily: "P", sizes: [["24xlarge", 8, 96, 768]] },
  {
    name: "p3",
    gpuType: "V100",
    quotaFamily: "P",
    sizes: [
      ["2xlarge", 1, 8, 61],
      ["8xlarge", 4, 32, 244],
      ["16xlarge", 8, 64, 488],
    ],
  },
  {
    name: "g7e",
    gpuType: "RTX-PRO-6000",
    quotaFamily: "G",
    sizes: [
      ["2xlarge", 1, 8, 64],
      ["4xlarge", 1, 16, 128],
      ["8xlarge", 1, 32, 256],
      ["12xlarge", 2, 48, 512],
      ["24xlarge", 4, 96, 1024],
      ["48xlarge", 8, 192, 2048],
    ],
  },
  {
    name: "g6e",
    gpuType: "L40S",
    quotaFamily: "G",
    sizes: [
      ["xlarge", 1, 4, 32],
      ["2xlarge", 1, 8, 64],
      ["4xlarge", 1, 16, 128],
      ["8xlarge", 1, 32, 256],
      ["12xlarge", 4, 48, 384],
      ["16xlarge", 1, 64, 512],
      ["24xlarge", 4, 96, 768],
      ["48xlarge", 8, 192, 1536],
    ],
  },
  {
    name: "gr6",
    gpuType: "L4",
    quotaFamily: "G",
    sizes: [
      ["4xlarge", 1, 16, 128],
      ["8xlarge", 1, 32, 256],
    ],
  },
  { name: "g6", gpuType: "L4", quotaFamily: "G", sizes: smallGpuSizes(8) },
  { name: "g5", gpuType: "A10", quotaFamily: "G", sizes: smallGpuSizes(8) },
  { name: "g4dn", gpuType: "T4", quotaFamily: "G", sizes: smallGpuSizes(4) },
  { name: "m7i", quotaFamily: "Standard", sizes: [["4xlarge", 0, 16, 64]] },
  {
    name: "m6i",
    quotaFamily: "Standard",
    sizes: [
      ["xlarge", 0, 4, 16],
      ["4xlarge", 0, 16, 64],
    ],
  },
  {
    name: "c7i",
    quotaFamily: "Standard",
    sizes: [
      ["4xlarge", 0, 16, 32],
      ["8xlarge", 0, 32, 64],
    ],
  },
  { name: "r7i", quotaFamily: "Standard", sizes: [["4xlarge", 0, 16, 128]] },
];

/** The shapes of all AWS instance types that the catalog knows, by instance type. */
export const AWS_SHAPES: ReadonlyMap<string, InstanceShape> = new Map(
  FAMILIES.flatMap((family) =>
    family.sizes.map((size) => {
      const shape = shapeOf(family, size);
      return [shape.instanceType, shape] as const;
    }),
  ),
);

/** The sizes that g4dn, g5 and g6 have in common, up to the family's largest GPU count. */
function smallGpuSizes(gpuCountMax: 4 | 8): readonly SizeRow[] {
  const common: readonly SizeRow[] = [
    ["xlarge", 1, 4, 16],
    ["2xlarge", 1, 8, 32],
    ["4xlarge", 1, 16, 64],
    ["8xlarge", 1, 32, 128],
    ["12xlarge", 4, 48, 192],
    ["16xlarge", 1, 64, 256],
  ];
  if (gpuCountMax === 4) return common;
  return [...common, ["24xlarge", 4, 96, 384], ["48xlarge", 8, 192, 768]];
}

function shapeOf(family: Family, [size, gpuCount, vcpuCount, memoryGiB]: SizeRow): InstanceShape {
  const { name, gpuType, quotaFamily } = family;
  const kind = gpuCount === 0 ? "cpu" : gpuCount >= GPU_HOST_GPU_COUNT ? "gpuHost" : "gpu";
  return {
    instanceType: `${name}.${size}`,
    ...(gpuType === undefined ? {} : { gpuType }),
    resources: { gpuCount, cpuMilli: vcpuCount * 1000, memoryMiB: memoryGiB * 1024 },
    vcpuCount,
    quotaFamily,
    bootMs: BOOT_MS[kind],
  };
}
