/**
 * Where containers would fit: free room on machines, and first fit over them.
 *
 * A container takes the first machine in the order given that its needs accept and that has room.
 * The sizes of cards are not looked at, so shares of GPUs may be laid out worse than assumed; the
 * container then waits for a place, and the next plan provides one.
 *
 * Pure. O(containers * rooms).
 */
import type { ContainerNeeds, Node, PlacedContainer, Resources } from "../core/index.ts";

/** A machine as containers see it; an offer will do. */
export type Machine = Pick<
  Node,
  | "cloud"
  | "region"
  | "zone"
  | "purchase"
  | "gpuType"
  | "resources"
  | "arch"
  | "cpuFeatures"
  | "interconnect"
  | "placementGroup"
>;

/** A machine and what is free on it. */
export interface Room {
  readonly machine: Machine;
  free: Resources;
}

/** What matters of a container here; one that waits for a node will do. */
export type FittingContainer = Pick<PlacedContainer, "containerId" | "resources" | "needs">;

/** The room of a machine that holds these containers. */
export function roomOf(machine: Machine, containers: readonly FittingContainer[]): Room {
  let free = machine.resources;
  for (const { resources } of containers) free = minus(free, resources);
  return { machine, free };
}

/** Takes room for all the containers; gives the rooms taken, or nothing and takes none. */
export function takeRoom<R extends Room>(
  containers: readonly FittingContainer[],
  rooms: readonly R[],
): ReadonlySet<R> | undefined {
  const before = new Map<R, Resources>();
  for (const container of largestFirst(containers)) {
    const { needs, resources } = container;
    const room = rooms.find(
      ({ machine, free }) => needs && accepts(needs, machine) && fits(resources, free),
    );
    if (room === undefined) {
      for (const [taken, free] of before) taken.free = free;
      return undefined;
    }
    if (!before.has(room)) before.set(room, room.free);
    room.free = minus(room.free, resources);
  }
  return new Set(before.keys());
}

/** Whether a container with these needs may run on a machine, its room aside. */
function accepts(needs: ContainerNeeds, machine: Machine): boolean {
  return acceptsPlace(needs, machine) && acceptsHardware(needs, machine);
}

function acceptsPlace(needs: ContainerNeeds, machine: Machine): boolean {
  return (
    isAmong(needs.clouds, machine.cloud) &&
    isAmong(needs.regions, machine.region) &&
    isAmong(needs.zones, machine.zone) &&
    isAmong(needs.placementGroups, machine.placementGroup) &&
    (needs.preemptible || machine.purchase !== "spot")
  );
}

function acceptsHardware(needs: ContainerNeeds, machine: Machine): boolean {
  const { arch, interconnect, cpuFeatures = [] } = needs;
  const known = machine.cpuFeatures ?? [];
  return (
    isAmong(needs.gpu?.types, machine.gpuType) &&
    (arch === undefined || arch === (machine.arch ?? "x64")) &&
    (interconnect !== "nvlink" || machine.interconnect === "nvlink") &&
    cpuFeatures.every((feature) => known.includes(feature))
  );
}

/** An absent list allows anything. */
function isAmong<T>(list: readonly T[] | undefined, value: T | undefined): boolean {
  return list === undefined || (value !== undefined && list.includes(value));
}

/** Fractions of GPUs may miss a sum by rounding. */
const TOLERANCE = 1e-9;

function fits(wanted: Resources, free: Resources): boolean {
  return (
    wanted.gpuCount <= free.gpuCount + TOLERANCE &&
    wanted.cpuMilli <= free.cpuMilli &&
    wanted.memoryMiB <= free.memoryMiB &&
    (wanted.diskMiB === undefined || wanted.diskMiB <= (free.diskMiB ?? Infinity))
  );
}

function minus(free: Resources, taken: Resources): Resources {
  const diskMiB = free.diskMiB === undefined ? undefined : free.diskMiB - (taken.diskMiB ?? 0);
  return {
    gpuCount: free.gpuCount - taken.gpuCount,
    cpuMilli: free.cpuMilli - taken.cpuMilli,
    memoryMiB: free.memoryMiB - taken.memoryMiB,
    ...(diskMiB === undefined ? {} : { diskMiB }),
  };
}

function largestFirst(containers: readonly FittingContainer[]): readonly FittingContainer[] {
  return containers.toSorted(
    (one, other) =>
      other.resources.gpuCount - one.resources.gpuCount ||
      other.resources.memoryMiB - one.resources.memoryMiB ||
      (one.containerId < other.containerId ? -1 : 1),
  );
}
