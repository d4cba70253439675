/** What price lists call GPUs, in the names of this platform. */
import { isGpuType, type GpuType } from "../../core/index.ts";

/** Other names of the same card; variants by memory are below. */
const ALIASES: Readonly<Record<string, GpuType>> = {
  A10G: "A10",
  "H100-MEGA": "H100",
  RTXPRO6000: "RTX-PRO-6000",
  RTXPRO6000WS: "RTX-PRO-6000",
  "V100-32GB": "V100",
};

const A100_GIB: readonly (readonly [gib: number, type: GpuType])[] = [
  [40, "A100-40GB"],
  [80, "A100-80GB"],
];

/**
 * The canonical type for a list's name; undefined when the platform has no name for it.
 *
 * @param memoryGib Of one GPU, or of all `gpuCount` together (marketplaces list it so): tells
 *   the two kinds of A100 apart.
 */
export function canonicalGpu(
  listed: string,
  gpuCount: number,
  memoryGib: number | undefined,
): GpuType | undefined {
  if (isGpuType(listed)) return listed;
  if (listed !== "A100") return Object.hasOwn(ALIASES, listed) ? ALIASES[listed] : undefined;
  const memories = [memoryGib, (memoryGib ?? 0) / gpuCount];
  return A100_GIB.find(([gib]) => memories.includes(gib))?.[1];
}
