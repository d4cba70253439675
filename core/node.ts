import type { CloudName, GpuType, PurchaseOption, Resources } from "./offer.ts";

export const NODE_STATES = [
  "requested",
  "booting",
  "registered",
  "healthy",
  "cordoned",
  "draining",
  "terminated",
] as const;

export type NodeState = (typeof NODE_STATES)[number];

/** How strongly a node separates its containers; `process` is no isolation at all. */
export type Isolation = "gvisor" | "process";

/** A rented machine as the platform knows it. */
export interface Node {
  readonly nodeId: string;
  /** The offer it was rented under; absent for machines the platform does not rent. */
  readonly offerId?: string;
  /** The provider's own id of the machine, once it has told us. */
  readonly providerNodeId?: string;
  readonly cloud: CloudName;
  readonly region: string;
  readonly zone?: string;
  readonly instanceType: string;
  readonly purchase: PurchaseOption;
  readonly gpuType?: GpuType;
  readonly resources: Resources;
  readonly priceMicroUsdPerHour: number;
  readonly state: NodeState;
  readonly stateSinceMs: number;
  /** True when its GPUs are pretended; shown in every listing. */
  readonly emulated: boolean;
  readonly isolation: Isolation;
}

/** A container that sits on a node, as the scheduler and the pool see it. */
export interface PlacedContainer {
  readonly containerId: string;
  readonly functionId: string;
  readonly nodeId: string;
  readonly resources: Resources;
  /** Since when it has had nothing to do; absent while it starts or works. */
  readonly idleSinceMs?: number;
}
