import type { CloudName, CpuArchitecture, GpuInterconnect, GpuType, Resources } from "./offer.ts";

/** GPUs that one container needs: on one machine, all of one type. */
export interface GpuRequest {
  /** Acceptable types, most wanted first; at least one, no repeats. */
  readonly types: readonly GpuType[];
  /** Whole GPUs 1..8, or a fraction in (0, 1) of one shared GPU. */
  readonly count: number;
  /** True when the order of `types` means nothing; absent means that it does. */
  readonly equallyWanted?: boolean;
}

/** What a container needs of the node under it; equal needs make one demand class. */
export interface ContainerNeeds {
  readonly gpu?: GpuRequest;
  readonly cpuMilli: number;
  readonly memoryMiB: number;
  /** Acceptable regions; absent means any. */
  readonly regions?: readonly string[];
  /** Acceptable clouds; absent means any. */
  readonly clouds?: readonly CloudName[];
  /** Whether the container may run where a provider can reclaim the node. */
  readonly preemptible: boolean;
  /** Acceptable zones; absent means any. */
  readonly zones?: readonly string[];
  /** Acceptable placement groups; absent means any, and none at all. */
  readonly placementGroups?: readonly string[];
  readonly diskMiB?: number;
  /** Absent means any. A snapshot restores only where it was taken. */
  readonly arch?: CpuArchitecture;
  /** Features that the node's CPUs must have. */
  readonly cpuFeatures?: readonly string[];
  /** `nvlink` demands it; absent or `pcie` takes either. */
  readonly interconnect?: GpuInterconnect;
}

/** Most that a container may use where that is said apart from what it reserves. */
export type ResourceLimits = Partial<Pick<Resources, "cpuMilli" | "memoryMiB">>;

/** Containers that keep apart. */
export interface SpreadRule {
  /** Containers with one key keep apart from each other. */
  readonly key: string;
  /** What they must not share. */
  readonly apart: "node" | "zone";
  /** Most containers with this key on one node or in one zone; absent means 1. */
  readonly countMax?: number;
}

/** Requests that start together or not at all. */
export interface GangRule {
  readonly gangId: string;
  /** Members; the gang waits until that many are requested. */
  readonly size: number;
  /** What all members must share. */
  readonly within: "region" | "zone" | "placementGroup";
  /** Not placed after this; absent means that it waits for ever. */
  readonly deadlineMs?: number;
}

/** An image or a snapshot that a container reads when it starts. */
export interface Artifact {
  readonly contentHash: string;
  readonly sizeMiB: number;
}

/** A wanted container that has no node yet. */
export interface ContainerRequest {
  readonly containerId: string;
  readonly functionId: string;
  readonly needs: ContainerNeeds;
  readonly requestedAtMs: number;
  /** Absent means that it belongs to nobody's share. */
  readonly workspaceId?: string;
  /** Absent means 0; larger is more important. */
  readonly priority?: number;
  readonly gang?: GangRule;
  readonly spread?: SpreadRule;
  /** What it will read; nodes that hold it are preferred. */
  readonly artifacts?: readonly Artifact[];
  /** Nodes that must not be asked, such as those that refused it a moment ago. */
  readonly excludedNodeIds?: readonly string[];
  /** Others were ended for it: it goes before all that were not promised room. */
  readonly isOwed?: boolean;
  /** How often a node has refused it; it then draws among several nodes. Absent means never. */
  readonly refusalCount?: number;
}

/** Container requests that are alike, as the optimizer counts them. */
export interface DemandClass {
  readonly classId: string;
  readonly needs: ContainerNeeds;
  /** What one container-hour of unmet demand is worth avoiding, in micro-dollars. */
  readonly unmetMicroUsdPerHour: number;
  /** Traffic of one container with its home, where its data lives. Absent means none. */
  readonly home?: { readonly regions: readonly string[]; readonly gibPerHour: number };
}

/** The resources that `needs` takes from a node. */
export function resourcesOf(needs: ContainerNeeds): Resources {
  return {
    gpuCount: needs.gpu?.count ?? 0,
    cpuMilli: needs.cpuMilli,
    memoryMiB: needs.memoryMiB,
    ...(needs.diskMiB === undefined ? {} : { diskMiB: needs.diskMiB }),
  };
}

/** A stable key: two needs share it exactly when they belong to one demand class. */
export function demandClassKey(needs: ContainerNeeds): string {
  const gpu = needs.gpu ? `${needs.gpu.types.join("|")}:${String(needs.gpu.count)}` : "none";
  const where = `${[...(needs.regions ?? ["*"])].sort().join("|")}@${[...(needs.clouds ?? ["*"])].sort().join("|")}`;
  const size = `${String(needs.cpuMilli)}m/${String(needs.memoryMiB)}MiB`;
  const kind = needs.preemptible ? "preemptible" : "steady";
  return `${gpu}/${size}/${where}/${kind}${rarelySaid(needs)}`;
}

/** The part of a demand class key that most needs leave out. */
function rarelySaid(needs: ContainerNeeds): string {
  const list = (names: readonly string[] | undefined): string | undefined =>
    names && [...names].sort().join("|");
  const said = {
    zones: list(needs.zones),
    groups: list(needs.placementGroups),
    disk: needs.diskMiB,
    arch: needs.arch,
    features: list(needs.cpuFeatures),
    interconnect: needs.interconnect,
    order: needs.gpu?.equallyWanted === true ? "any" : undefined,
  };
  return Object.entries(said)
    .flatMap(([name, value]) => (value === undefined ? [] : [`/${name}=${value}`]))
    .join("");
}
