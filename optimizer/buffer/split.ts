/**
 * From idle GPUs of a pool to demand that a plan can serve: who must be able to use them, and
 * the policy's bounds by GPU type.
 */
import { GPU_TYPES, type BufferPolicy, type GpuType } from "../../core/index.ts";
import type { DemandMember } from "./demand-history.ts";
import { sharedNeeds, type GpuNeeds } from "./sharing.ts";

/** Members of a pool that one kind of idle container serves. */
export interface PoolPart {
  readonly needs: GpuNeeds;
  /** Mean of the GPUs wanted over the last day. */
  readonly meanGpuCount: number;
  /** The least that one of its members pays for a container-hour unmet. */
  readonly unmetMicroUsdPerHour: number;
}

/** Idle GPUs to hold, in containers of `needs.gpu.count` GPUs. */
export interface HeldGpus {
  readonly needs: GpuNeeds;
  readonly gpuCount: number;
  readonly unmetMicroUsdPerHour: number;
  /** For people; the figures of the pool first. */
  readonly reasons: readonly string[];
}

/** Cpu and memory kept with an idle GPU that nothing has asked for yet. */
const FLOOR_CPU_MILLI = 1_000;
const FLOOR_MEMORY_MIB = 4_096;
/** Sums of fractions closer than this to a whole count as whole. */
const TOLERANCE = 1e-9;

/**
 * The fewest parts found greedily, largest members first, such that each part's needs serve all
 * its members and `isServed` says that some offer has them.
 */
export function partsOf(
  members: readonly DemandMember[],
  isServed: (needs: GpuNeeds) => boolean,
): readonly PoolPart[] {
  const parts: PoolPart[] = [];
  const largestFirst = members.map(partOf).sort((a, b) => b.meanGpuCount - a.meanGpuCount);
  for (const part of largestFirst) {
    if (!isServed(part.needs)) continue;
    const joined = parts.map((other) => joinedPart(other, part));
    const index = joined.findIndex((both) => both !== undefined && isServed(both.needs));
    const both = joined[index];
    if (both === undefined) parts.push(part);
    else parts[index] = both;
  }
  return parts;
}

/**
 * Shares out `gpuCount` idle GPUs over the parts, by what they wanted over the last day, in
 * whole containers: largest remainders first until all are given out.
 *
 * @returns GPUs by part, in order; their sum is below `gpuCount` plus one container.
 */
export function shareOut(gpuCount: number, parts: readonly PoolPart[]): readonly number[] {
  const sum = parts.reduce((total, part) => total + part.meanGpuCount, 0);
  const exact = parts.map(({ needs, meanGpuCount }) => {
    const share = sum > 0 ? meanGpuCount / sum : 1 / parts.length;
    return (gpuCount * share) / needs.gpu.count;
  });
  const containers = exact.map((count) => Math.floor(count + TOLERANCE));
  const rest = exact.map((count, index) => count - (containers[index] ?? 0));
  const order = rest.map((_, index) => index).sort((a, b) => (rest[b] ?? 0) - (rest[a] ?? 0));
  const sizeOf = (index: number): number => parts[index]?.needs.gpu.count ?? 0;
  let missing = gpuCount - containers.reduce((held, n, index) => held + n * sizeOf(index), 0);
  for (const index of order) {
    if (missing <= TOLERANCE) break;
    containers[index] = (containers[index] ?? 0) + 1;
    missing -= sizeOf(index);
  }
  return containers.map((count, index) => count * sizeOf(index));
}

/**
 * The same idle GPUs within the policy's bounds by GPU type.
 *
 * Floors come first: of what is held anyhow where it can be of the type, and for the rest by
 * itself. A ceiling counts every idle GPU that could be of its type, so that it holds whatever
 * the plan picks: where it binds, the rest is held of the other types. A ceiling beats a floor.
 */
export function withinBounds(held: readonly HeldGpus[], policy: BufferPolicy): readonly HeldGpus[] {
  const room = new Map<GpuType, number>();
  for (const type of GPU_TYPES) room.set(type, policy.byGpuType[type]?.gpuCountMax ?? Infinity);
  let rest = held;
  const floors: HeldGpus[] = [];
  for (const type of GPU_TYPES) {
    const floor = Math.min(policy.byGpuType[type]?.gpuCountMin ?? 0, room.get(type) ?? 0);
    if (floor <= 0) continue;
    const reason = `policy keeps at least ${floor} ${type} idle`;
    const carved = carveFloor(rest, { type, floor, reason, policy });
    floors.push(...carved.floors);
    rest = carved.rest;
    room.set(type, (room.get(type) ?? 0) - gpusOf(carved.floors));
  }
  return [...floors, ...rest.flatMap((request) => underCeilings(request, room))];
}

function partOf({ needs, mean, unmetMicroUsdPerHour }: DemandMember): PoolPart {
  const meanGpuCount = mean.weight > 0 ? mean.sum / mean.weight : 0;
  return { needs, meanGpuCount, unmetMicroUsdPerHour };
}

function joinedPart(a: PoolPart, b: PoolPart): PoolPart | undefined {
  const needs = sharedNeeds(a.needs, b.needs);
  return (
    needs && {
      needs,
      meanGpuCount: a.meanGpuCount + b.meanGpuCount,
      unmetMicroUsdPerHour: Math.min(a.unmetMicroUsdPerHour, b.unmetMicroUsdPerHour),
    }
  );
}

interface Floor {
  readonly type: GpuType;
  readonly floor: number;
  readonly reason: string;
  readonly policy: BufferPolicy;
}

function carveFloor(
  held: readonly HeldGpus[],
  { type, floor, reason, policy }: Floor,
): { readonly floors: readonly HeldGpus[]; readonly rest: readonly HeldGpus[] } {
  let missing = floor;
  const floors: HeldGpus[] = [];
  const rest = held.map((request) => {
    const { needs } = request;
    if (!needs.gpu.types.includes(type)) return request;
    const taken = wholeContainers(Math.min(missing, request.gpuCount), needs.gpu.count);
    if (taken <= 0) return request;
    missing -= taken;
    const reasons = [...request.reasons, reason];
    floors.push({ ...request, needs: ofTypes(needs, [type]), gpuCount: taken, reasons });
    return { ...request, gpuCount: request.gpuCount - taken };
  });
  if (missing > TOLERANCE) {
    floors.push({
      needs: {
        gpu: { types: [type], count: 1 },
        cpuMilli: FLOOR_CPU_MILLI,
        memoryMiB: FLOOR_MEMORY_MIB,
        preemptible: false,
      },
      gpuCount: Math.floor(missing + TOLERANCE),
      unmetMicroUsdPerHour: policy.waitMicroUsdPerGpuHour,
      reasons: [reason],
    });
  }
  return { floors: floors.filter(({ gpuCount }) => gpuCount > 0), rest };
}

/** Splits a request by the room that is left under ceilings, and takes that room. */
function underCeilings(request: HeldGpus, room: Map<GpuType, number>): readonly HeldGpus[] {
  const given: HeldGpus[] = [];
  let { types } = request.needs.gpu;
  let missing = request.gpuCount;
  const { count } = request.needs.gpu;
  while (missing > TOLERANCE && types.length > 0) {
    const ceiling = Math.min(...types.map((type) => room.get(type) ?? 0));
    const gpuCount = wholeContainers(Math.min(missing, ceiling), count);
    const full = types.filter((type) => (room.get(type) ?? 0) - gpuCount < count);
    if (gpuCount > 0) {
      given.push({
        ...request,
        needs: ofTypes(request.needs, types),
        gpuCount,
        reasons: ceiling < missing ? [...request.reasons, ceilingReason(full)] : request.reasons,
      });
      for (const type of types) room.set(type, (room.get(type) ?? 0) - gpuCount);
      missing -= gpuCount;
    }
    types = types.filter((type) => !full.includes(type));
  }
  return given;
}

function ceilingReason(full: readonly GpuType[]): string {
  return `policy allows no more idle ${full.join(" or ")}`;
}

function gpusOf(held: readonly HeldGpus[]): number {
  return held.reduce((sum, { gpuCount }) => sum + gpuCount, 0);
}

function ofTypes(needs: GpuNeeds, types: readonly GpuType[]): GpuNeeds {
  return { ...needs, gpu: { ...needs.gpu, types } };
}

/** The most GPUs, at most `gpuCount`, that are whole containers of `size` GPUs. */
function wholeContainers(gpuCount: number, size: number): number {
  return Math.floor(gpuCount / size + TOLERANCE) * size;
}
