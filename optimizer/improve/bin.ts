/**
 * What one node holds in one scenario, open to change: the fast twin of `NodeRoom`.
 *
 * Whole GPUs are counted, shared ones keep their free share. Fractions of different sizes on one
 * node must also fit when they are packed first-fit by decreasing size, since that is how a plan
 * is verified.
 */
import type { Resources } from "../../core/index.ts";

/** What is free. */
export interface Room {
  cpuMilli: number;
  memoryMiB: number;
  /** GPUs that nothing uses. */
  wholeGpus: number;
  /** Free shares of GPUs that fractions use, ascending. */
  parts: readonly number[];
  /** Size of fraction to count, where GPUs are shared. */
  fractions: ReadonlyMap<number, number>;
}

/** What is free, and what is there: class index to quantity >= 1. */
export interface Bin extends Room {
  readonly containers: Map<number, number>;
}

/** Sums of fractions closer than this to a whole share count as equal. */
const SHARE_TOLERANCE = 1e-9;

/** More than any node holds. */
const NO_LIMIT = 1e9;

const NO_PARTS: readonly number[] = [];
const NO_FRACTIONS: ReadonlyMap<number, number> = new Map();

/** An empty node. */
export function emptyRoom({ cpuMilli, memoryMiB, gpuCount }: Resources): Room {
  const wholeGpus = Math.floor(gpuCount);
  return { cpuMilli, memoryMiB, wholeGpus, parts: NO_PARTS, fractions: NO_FRACTIONS };
}

/** An empty node with nothing on it. */
export function emptyBin(resources: Resources): Bin {
  return { ...emptyRoom(resources), containers: new Map() };
}

/** The same, to go back to. */
export function copyOf(bin: Bin): Bin {
  return { ...bin, containers: new Map(bin.containers) };
}

/** How many containers with these needs fit besides what is there. */
export function fitIn(room: Room, needs: Resources): number {
  const { gpuCount, cpuMilli, memoryMiB } = needs;
  let fit = NO_LIMIT;
  if (gpuCount >= 1) fit = Math.floor(room.wholeGpus / gpuCount);
  if (fit > 0 && cpuMilli > 0) fit = Math.min(fit, Math.floor(room.cpuMilli / cpuMilli));
  if (fit > 0 && memoryMiB > 0) fit = Math.min(fit, Math.floor(room.memoryMiB / memoryMiB));
  return fit > 0 && gpuCount > 0 && gpuCount < 1 ? fractionsIn(room, gpuCount, fit) : fit;
}

/** Takes room for containers, at most `fitIn` of them. */
export function take(room: Room, needs: Resources, count: number): void {
  room.cpuMilli -= count * needs.cpuMilli;
  room.memoryMiB -= count * needs.memoryMiB;
  if (needs.gpuCount >= 1) room.wholeGpus -= count * needs.gpuCount;
  else if (needs.gpuCount > 0) takeFractions(room, needs.gpuCount, count);
}

/** Puts containers on the node, at most `fitIn` of them. */
export function putIn(bin: Bin, classIndex: number, needs: Resources, count: number): void {
  take(bin, needs, count);
  bin.containers.set(classIndex, (bin.containers.get(classIndex) ?? 0) + count);
}

function fractionsIn(room: Room, fraction: number, most: number): number {
  let fit = room.wholeGpus * sharesIn(1, fraction);
  for (const share of room.parts) fit += sharesIn(share, fraction);
  fit = Math.min(fit, most);
  if (room.fractions.size === 0) return fit;
  if (room.fractions.size === 1 && room.fractions.has(fraction)) return fit;
  const gpuCount = room.wholeGpus + room.parts.length;
  while (fit > 0 && !packsDecreasing(withFractions(room, fraction, fit), gpuCount)) fit -= 1;
  return fit;
}

/** Whether first-fit by decreasing size finds room on so many GPUs. */
function packsDecreasing(fractions: ReadonlyMap<number, number>, gpuCount: number): boolean {
  const free: number[] = [];
  for (const [fraction, count] of [...fractions].sort(([a], [b]) => b - a)) {
    for (let each = 0; each < count; each += 1) {
      const at = free.findIndex((share) => share + SHARE_TOLERANCE >= fraction);
      if (at >= 0) free[at] = (free[at] ?? 0) - fraction;
      else free.push(1 - fraction);
    }
  }
  return free.length <= gpuCount;
}

function withFractions(room: Room, fraction: number, count: number): ReadonlyMap<number, number> {
  const fractions = new Map(room.fractions);
  return fractions.set(fraction, (fractions.get(fraction) ?? 0) + count);
}

/** Fills the fullest GPUs first. */
function takeFractions(room: Room, fraction: number, count: number): void {
  let left = count;
  const parts = room.parts.map((share) => {
    const taken = Math.min(left, sharesIn(share, fraction));
    left -= taken;
    return Math.max(0, share - taken * fraction);
  });
  while (left > 0) {
    const taken = Math.min(left, sharesIn(1, fraction));
    room.wholeGpus -= 1;
    parts.push(1 - taken * fraction);
    left -= taken;
  }
  room.parts = parts.sort((a, b) => a - b);
  room.fractions = withFractions(room, fraction, count);
}

function sharesIn(free: number, fraction: number): number {
  return Math.floor(free / fraction + SHARE_TOLERANCE);
}
