import type {
  CloudName,
  CpuArchitecture,
  GpuInterconnect,
  GpuType,
  PurchaseOption,
  Resources,
} from "./offer.ts";
import type { ContainerNeeds, GangRule, SpreadRule } from "./workload.ts";

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

/** How a running container can be moved: by its snapshot, or by letting it finish first. */
export type MoveMeans = "snapshot" | "drain";

/** A rented machine as the platform knows it. */
export interface Node {
  readonly nodeId: string;
  /** The offer it was rented under; absent for machines that no plan speaks of, as this one. */
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
  /** Absent means x64. */
  readonly arch?: CpuArchitecture;
  /** Such as `avx512f`, sorted; absent means that none is known. */
  readonly cpuFeatures?: readonly string[];
  /** Absent means pcie. */
  readonly interconnect?: GpuInterconnect;
  /** Machines of one group reach each other over the provider's fast network. */
  readonly placementGroup?: string;
  /** Content hashes of the images and snapshots whose chunks are on the node. */
  readonly cachedArtifacts?: readonly string[];
}

/** A container that sits on a node, as the scheduler and the pool see it. */
export interface PlacedContainer {
  readonly containerId: string;
  readonly functionId: string;
  readonly nodeId: string;
  readonly resources: Resources;
  /** Since when it has had nothing to do; absent while it starts or works. */
  readonly idleSinceMs?: number;
  /** Cards it sits on, numbered from 0; absent when nobody knows, and then laid out on paper. */
  readonly cards?: readonly number[];
  /** What it asked of its node; absent forbids moving it. */
  readonly needs?: ContainerNeeds;
  /** Absent means that it cannot be moved. */
  readonly movableBy?: MoveMeans;
  readonly workspaceId?: string;
  /** Absent means 0; larger is more important. */
  readonly priority?: number;
  /** Whether it may be ended for something more important; absent means that it may not. */
  readonly evictable?: boolean;
  /** True while it is being ended: its room is as good as free, but not yet. */
  readonly ending?: boolean;
  readonly spread?: SpreadRule;
  readonly gang?: GangRule;
}
