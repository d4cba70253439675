import type { CloudName, GpuType, Resources } from "./offer.ts";

/** GPUs that one container needs: on one machine, all of one type. */
export interface GpuRequest {
  /** Acceptable types, most wanted first; at least one, no repeats. */
  readonly types: readonly GpuType[];
  /** Whole GPUs 1..8, or a fraction in (0, 1) of one shared GPU. */
  readonly count: number;
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
}

/** A wanted container that has no node yet. */
export interface ContainerRequest {
  readonly containerId: string;
  readonly functionId: string;
  readonly needs: ContainerNeeds;
  readonly requestedAtMs: number;
}

/** Container requests that are alike, as the optimizer counts them. */
export interface DemandClass {
  readonly classId: string;
  readonly needs: ContainerNeeds;
  /** What one container-hour of unmet demand is worth avoiding, in micro-dollars. */
  readonly unmetMicroUsdPerHour: number;
}

/** The resources that `needs` takes from a node. */
export function resourcesOf(needs: ContainerNeeds): Resources {
  return {
    gpuCount: needs.gpu?.count ?? 0,
    cpuMilli: needs.cpuMilli,
    memoryMiB: needs.memoryMiB,
  };
}

/** A stable key: two needs share it exactly when they belong to one demand class. */
export function demandClassKey(needs: ContainerNeeds): string {
  const gpu = needs.gpu ? `${needs.gpu.types.join("|")}:${String(needs.gpu.count)}` : "none";
  const where = `${[...(needs.regions ?? ["*"])].sort().join("|")}@${[...(needs.clouds ?? ["*"])].sort().join("|")}`;
  const size = `${String(needs.cpuMilli)}m/${String(needs.memoryMiB)}MiB`;
  return `${gpu}/${size}/${where}/${needs.preemptible ? "preemptible" : "steady"}`;
}
