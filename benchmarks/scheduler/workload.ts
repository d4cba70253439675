/**
 * Synthetic fleets and requests: machines and classes in the proportions of public clouds, fixed
 * by a seed, so that speed can be measured where no trace is at hand.
 */
import {
  createRng,
  type ContainerNeeds,
  type ContainerRequest,
  type GpuType,
  type Node,
  type Rng,
} from "../../core/index.ts";

interface Machine {
  readonly gpuType?: GpuType;
  readonly gpuCount: number;
  readonly vcpu: number;
  readonly gib: number;
  readonly weight: number;
}

const MACHINES: readonly Machine[] = [
  { gpuType: "H100", gpuCount: 8, vcpu: 192, gib: 2_048, weight: 4 },
  { gpuType: "A100-80GB", gpuCount: 8, vcpu: 96, gib: 1_152, weight: 2 },
  { gpuType: "L4", gpuCount: 4, vcpu: 48, gib: 192, weight: 2 },
  { gpuType: "L4", gpuCount: 1, vcpu: 16, gib: 64, weight: 2 },
  { gpuType: "T4", gpuCount: 2, vcpu: 64, gib: 256, weight: 2 },
  { gpuCount: 0, vcpu: 64, gib: 256, weight: 1 },
];
const ZONES = ["a", "b", "c"] as const;
const MIB_PER_GIB = 1_024;
const CLASS_COUNT = 150;

/** Nodes of mixed machines over three zones. */
export function mixedNodes(count: number): readonly Node[] {
  const rng = createRng("nodes");
  return Array.from({ length: count }, (_, index) => nodeOf(index, drawn(MACHINES, rng), rng));
}

function nodeOf(index: number, machine: Machine, rng: Rng): Node {
  const { gpuType, gpuCount, vcpu, gib } = machine;
  return {
    nodeId: `no_${String(index).padStart(7, "0")}`,
    cloud: "fake",
    region: "r",
    zone: ZONES[rng.below(ZONES.length)] ?? "a",
    instanceType: `${gpuType ?? "cpu"}-${gpuCount}`,
    purchase: rng.below(2) === 0 ? "spot" : "on-demand",
    resources: { gpuCount, cpuMilli: vcpu * 1_000, memoryMiB: gib * MIB_PER_GIB },
    priceMicroUsdPerHour: 0,
    state: "healthy",
    stateSinceMs: 0,
    emulated: true,
    isolation: "process",
    ...(gpuType === undefined ? {} : { gpuType }),
  };
}

/** 150 classes: a fifth CPU only, the rest shares and whole GPUs of one to three types. */
export function mixedClasses(): readonly ContainerNeeds[] {
  const rng = createRng("classes");
  return Array.from({ length: CLASS_COUNT }, () => needsOf(rng));
}

const TYPE_LISTS: readonly (readonly GpuType[])[] = [
  ["H100"],
  ["H100", "A100-80GB"],
  ["A100-80GB", "H100"],
  ["L4", "T4"],
  ["T4", "L4", "A100-80GB"],
  ["L4"],
];
const GPU_COUNTS = [0, 0, 0.16, 0.25, 0.33, 0.47, 0.5, 0.81, 1, 1, 1, 1, 2, 4, 8] as const;

function needsOf(rng: Rng): ContainerNeeds {
  const types = TYPE_LISTS[rng.below(TYPE_LISTS.length)] ?? ["H100"];
  const count = GPU_COUNTS[rng.below(GPU_COUNTS.length)] ?? 0;
  const large = types.includes("H100") ? count : Math.min(count, 4);
  const vcpu = Math.max(1, large) * (1 + rng.below(12));
  const needs = {
    cpuMilli: vcpu * 1_000,
    memoryMiB: vcpu * (2 + rng.below(4)) * MIB_PER_GIB,
    preemptible: rng.below(3) > 0,
  };
  return large > 0 ? { ...needs, gpu: { types, count: large } } : needs;
}

/** Requests of random classes, one a millisecond. */
export function mixedRequests(
  classes: readonly ContainerNeeds[],
  count: number,
  seed: string,
): readonly ContainerRequest[] {
  const rng = createRng(`requests/${seed}`);
  return Array.from({ length: count }, (_, index) => ({
    containerId: `co_${seed}_${String(index).padStart(7, "0")}`,
    functionId: "fn_1",
    needs: classes[rng.below(classes.length)] ?? { cpuMilli: 1, memoryMiB: 1, preemptible: true },
    requestedAtMs: index,
    workspaceId: `ws_${rng.below(20)}`,
  }));
}

function drawn(machines: readonly Machine[], rng: Rng): Machine {
  let at = rng.next() * machines.reduce((sum, { weight }) => sum + weight, 0);
  for (const machine of machines) if ((at -= machine.weight) < 0) return machine;
  throw new Error("there are no machines");
}
