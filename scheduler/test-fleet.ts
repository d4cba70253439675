/** Nodes and requests for the tests of placement. */
import {
  createRng,
  type ContainerNeeds,
  type ContainerRequest,
  type GpuType,
  type Node,
  type PlacedContainer,
} from "../core/index.ts";
import { place } from "./place.ts";
import type { PlacementPlan } from "./plan.ts";

/** Any time, any chance: the built-in strategy uses neither. */
export const OPTIONS = { nowMs: 1_000, rng: createRng(1) };

/** A healthy node without GPUs, or with `gpus` H100s. */
export function node(
  over: Partial<Node> & { readonly nodeId: string; readonly gpus?: number },
): Node {
  const { gpus = 0, ...rest } = over;
  return {
    cloud: "fake",
    region: "r1",
    instanceType: "m",
    purchase: "on-demand",
    resources: { gpuCount: gpus, cpuMilli: 8_000 * Math.max(1, gpus), memoryMiB: 65_536 },
    priceMicroUsdPerHour: 1,
    state: "healthy",
    stateSinceMs: 0,
    emulated: true,
    isolation: "process",
    ...(gpus > 0 ? { gpuType: "H100" as const } : {}),
    ...rest,
  };
}

/** Small needs, with what the test cares about on top. */
export function needs(over: Partial<ContainerNeeds> = {}): ContainerNeeds {
  return { cpuMilli: 100, memoryMiB: 128, preemptible: true, ...over };
}

/** The part of needs that asks for GPUs; H100s unless types are named. */
export function gpu(count: number, ...types: GpuType[]): Partial<ContainerNeeds> {
  return { gpu: { types: types.length > 0 ? types : ["H100"], count } };
}

/** A request made at time 0. */
export function request(containerId: string, over: Partial<ContainerNeeds> = {}): ContainerRequest {
  return { containerId, functionId: "fn_1", needs: needs(over), requestedAtMs: 0 };
}

/** Places on a fleet of these nodes and containers. */
export function plan(
  requests: readonly ContainerRequest[],
  nodes: readonly Node[],
  containers: readonly PlacedContainer[] = [],
): PlacementPlan {
  return place(requests, { nodes, containers }, OPTIONS);
}
