import type { GpuType, Resources } from "../../core/index.ts";

/** The hardware of one instance type: no price and no place. */
export interface InstanceShape {
  readonly instanceType: string;
  /** Absent on machines without GPUs. */
  readonly gpuType?: GpuType;
  readonly resources: Resources;
  /** What the cloud counts against a quota. */
  readonly vcpuCount: number;
  /** The cloud's quota family, as in the quota group `aws/us-east-1/P/on-demand`. */
  readonly quotaFamily: string;
  /** From an accepted rent to a registered agent, an assumption until it is observed. */
  readonly bootMs: number;
}
