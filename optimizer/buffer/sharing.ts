/** Which container needs can be served by the same idle GPUs. */
import type { ContainerNeeds, GpuRequest } from "../../core/index.ts";

/** Needs with GPUs: the only ones that buffers are held for. */
export interface GpuNeeds extends ContainerNeeds {
  readonly gpu: GpuRequest;
}

/** Whether some idle GPU could serve both: a type, a region and a cloud in common. */
export function canShare(a: GpuNeeds, b: GpuNeeds): boolean {
  return (
    overlap(a.gpu.types, b.gpu.types) &&
    overlap(a.regions, b.regions) &&
    overlap(a.clouds, b.clouds)
  );
}

/**
 * Needs that serve both: types, regions and clouds in common (types in the order of `a`), the
 * larger cpu and memory.
 *
 * @returns undefined when nothing serves both or they differ in GPUs per container.
 */
export function sharedNeeds(a: GpuNeeds, b: GpuNeeds): GpuNeeds | undefined {
  if (a.gpu.count !== b.gpu.count || !canShare(a, b)) return undefined;
  const regions = common(a.regions, b.regions);
  const clouds = common(a.clouds, b.clouds);
  return {
    gpu: { types: a.gpu.types.filter((type) => b.gpu.types.includes(type)), count: a.gpu.count },
    cpuMilli: Math.max(a.cpuMilli, b.cpuMilli),
    memoryMiB: Math.max(a.memoryMiB, b.memoryMiB),
    preemptible: a.preemptible && b.preemptible,
    ...(regions === undefined ? {} : { regions }),
    ...(clouds === undefined ? {} : { clouds }),
  };
}

/**
 * Groups of items that can share, transitively: if a shares with b and b with c, they are one
 * group. Groups and their items keep the order of `items`. O(n²).
 */
export function sharingGroups<T extends { readonly needs: GpuNeeds }>(
  items: readonly T[],
): readonly (readonly T[])[] {
  let groups: readonly (readonly T[])[] = [];
  for (const item of items) {
    const isMate = (group: readonly T[]): boolean =>
      group.some((other) => canShare(other.needs, item.needs));
    const joined = [...groups.filter(isMate).flat(), item];
    const first = groups.findIndex(isMate);
    const others = groups.filter((group) => !isMate(group));
    groups = first === -1 ? [...others, joined] : others.toSpliced(first, 0, joined);
  }
  return groups;
}

/** Text that names where a group may run and on what; equal for groups that read alike. */
export function poolKeyOf(group: readonly { readonly needs: GpuNeeds }[]): string {
  const types = union(group.map(({ needs }) => needs.gpu.types));
  const regions = union(group.map(({ needs }) => needs.regions ?? ["*"]));
  const clouds = union(group.map(({ needs }) => needs.clouds ?? ["*"]));
  return `${types}@${regions}/${clouds}`;
}

function union(lists: readonly (readonly string[])[]): string {
  return [...new Set(lists.flat())].sort().join("|");
}

/** Absent lists hold everything. */
function overlap<T>(a: readonly T[] | undefined, b: readonly T[] | undefined): boolean {
  return a === undefined || b === undefined || a.some((item) => b.includes(item));
}

function common<T>(
  a: readonly T[] | undefined,
  b: readonly T[] | undefined,
): readonly T[] | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return a.filter((item) => b.includes(item));
}
