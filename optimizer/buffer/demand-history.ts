/**
 * What was wanted so far, as far as planning needs it: one forecast for each pool.
 *
 * A pool is all demand that can share idle GPUs, transitively. It is forecast as one series, in
 * GPUs: what is held ready covers the peak of the sum, not the sum of the peaks. Demand that is
 * gone stays a member of its pool for a day, so that pools do not fall apart whenever a function
 * rests. When pools join or part, the new ones begin with what the largest of the old ones that
 * they share a GPU type with has learnt, scaled to their level.
 *
 * Plain data: kept as JSON it survives a restart, and a simulation can begin with it.
 */
import { assert, demandClassKey, MS_PER_HOUR, type DemandClass } from "../../core/index.ts";
import { compareText } from "../read-input.ts";
import { addToMean, keptAfter, NO_MEAN, type DecayedMean } from "../forecast/decayed-mean.ts";
import { inheritForecast, newForecast, observe, type Forecast } from "../forecast/forecast.ts";
import { poolKeyOf, sharingGroups, type GpuNeeds } from "./sharing.ts";

/** Containers with the same needs, as they were wanted so far. */
export interface DemandMember {
  readonly key: string;
  readonly needs: GpuNeeds;
  /** Price of a container-hour unmet. */
  readonly unmetMicroUsdPerHour: number;
  /** GPUs wanted now. */
  readonly gpuCount: number;
  /** GPUs that its work keeps busy, which the forecast learns. */
  readonly offeredGpuCount: number;
  /** GPUs that work off what waits, which it does not learn. */
  readonly backlogGpuCount: number;
  /** GPUs wanted over the last day. */
  readonly mean: DecayedMean;
  readonly lastWantedAtMs: number;
}

export interface DemandPool {
  /** GPU types, regions and clouds of its members. */
  readonly poolKey: string;
  /** Sorted by key. */
  readonly members: readonly DemandMember[];
  /** Of the GPUs that the work of all members together keeps busy. */
  readonly forecast: Forecast;
}

/** Everything that buffers are planned from. */
export interface DemandHistory {
  /** Absent before the first observation. */
  readonly lastAtMs?: number;
  /** Sorted by key. */
  readonly pools: readonly DemandPool[];
}

/** Containers wanted at one moment. */
export interface ObservedDemand {
  readonly atMs: number;
  readonly classes: readonly DemandClass[];
  /** Running and waiting ones, by class; a class that is absent wants none. */
  readonly quantity: Readonly<Record<string, number>>;
  /**
   * Containers that the work keeps busy, by class (`forecast/offered-load.ts`): smoother than
   * what is there, which holds idle ones and reacts to every queue. Absent: the quantity.
   */
  readonly offered?: Readonly<Record<string, number>>;
  /** Containers beside them that work off what waits, by class; absent: none. */
  readonly backlog?: Readonly<Record<string, number>>;
}

export const NO_HISTORY: DemandHistory = { pools: [] };

const NOTHING_WANTED = { gpuCount: 0, offeredGpuCount: 0, backlogGpuCount: 0 };
const FORGOTTEN_AFTER_MS = 24 * MS_PER_HOUR;
const MEAN_HALF_LIFE_MS = 24 * MS_PER_HOUR;

/**
 * The history after one more moment; one that is not later than the last changes nothing.
 *
 * Classes without GPUs are left out. O(m²) in the different needs of the last day.
 */
export function observeDemand(history: DemandHistory, demand: ObservedDemand): DemandHistory {
  const { atMs } = demand;
  if (history.lastAtMs !== undefined && atMs <= history.lastAtMs) return history;
  const elapsedMs = atMs - (history.lastAtMs ?? atMs);
  const members = new Map<string, DemandMember>();
  for (const member of history.pools.flatMap((pool) => pool.members)) {
    if (atMs - member.lastWantedAtMs > FORGOTTEN_AFTER_MS) continue;
    members.set(member.key, { ...member, ...NOTHING_WANTED });
  }
  for (const wanted of demand.classes) addWanted(members, wanted, demand);
  const sorted = [...members.values()]
    .map((member) => ({ ...member, mean: meanAfter(member, elapsedMs) }))
    .sort((a, b) => compareText(a.key, b.key));
  return { lastAtMs: atMs, pools: poolsOf(sorted, history.pools, atMs) };
}

/** GPUs that a pool wants now. */
export function wantedGpuCount(pool: DemandPool): number {
  return pool.members.reduce((sum, member) => sum + member.gpuCount, 0);
}

function addWanted(
  members: Map<string, DemandMember>,
  { classId, needs, unmetMicroUsdPerHour }: DemandClass,
  { quantity, offered: offeredOf, backlog: backlogOf = {}, atMs }: ObservedDemand,
): void {
  const count = quantity[classId] ?? 0;
  const offered = offeredOf === undefined ? count : (offeredOf[classId] ?? 0);
  const backlog = backlogOf[classId] ?? 0;
  assert(
    [count, offered, backlog].every((amount) => Number.isFinite(amount) && amount >= 0),
    `class ${classId} wants ${count}, offers ${offered}, has a backlog for ${backlog} containers`,
  );
  if (needs.gpu === undefined || (count === 0 && offered === 0)) return;
  const key = demandClassKey(needs);
  const known = members.get(key) ?? { ...NOTHING_WANTED, mean: NO_MEAN };
  members.set(key, {
    key,
    needs: { ...needs, gpu: needs.gpu },
    unmetMicroUsdPerHour,
    gpuCount: known.gpuCount + count * needs.gpu.count,
    offeredGpuCount: known.offeredGpuCount + offered * needs.gpu.count,
    backlogGpuCount: known.backlogGpuCount + backlog * needs.gpu.count,
    mean: known.mean,
    lastWantedAtMs: atMs,
  });
}

/** Each moment counts for the time since the last one; the first for a millisecond. */
function meanAfter({ mean, gpuCount }: DemandMember, elapsedMs: number): DecayedMean {
  return addToMean(mean, {
    value: gpuCount,
    weight: Math.max(1, elapsedMs),
    keptFraction: keptAfter(elapsedMs, MEAN_HALF_LIFE_MS),
  });
}

function poolsOf(
  members: readonly DemandMember[],
  before: readonly DemandPool[],
  atMs: number,
): readonly DemandPool[] {
  const byKey = Map.groupBy(sharingGroups(members), poolKeyOf);
  return [...byKey].map(([poolKey, groups]) => {
    const mates = groups.flat().sort((a, b) => compareText(a.key, b.key));
    const quantity = mates.reduce((sum, member) => sum + member.offeredGpuCount, 0);
    const known = before.find((pool) => pool.poolKey === poolKey)?.forecast;
    const forecast = known ?? firstForecast(mates, before, quantity);
    return { poolKey, members: mates, forecast: observe(forecast, { atMs, quantity }) };
  });
}

function firstForecast(
  members: readonly DemandMember[],
  before: readonly DemandPool[],
  quantity: number,
): Forecast {
  const types = new Set(members.flatMap(({ needs }) => needs.gpu.types));
  const levelOf = (pool: DemandPool): number => pool.forecast.samples?.level.value ?? 0;
  const [nearest] = before
    .filter((pool) => pool.members.some(({ needs }) => needs.gpu.types.some((t) => types.has(t))))
    .sort((a, b) => levelOf(b) - levelOf(a) || compareText(a.poolKey, b.poolKey));
  if (nearest === undefined) return newForecast({ target: "sustained" });
  return inheritForecast(nearest.forecast, (quantity + 1) / (levelOf(nearest) + 1));
}
