/**
 * How much idle capacity to hold ready, and of what: demand classes for the optimizer.
 *
 * For each pool (demand that can share GPUs; `demand-history.ts`):
 *
 *     q      = wait / (wait + idle), within quantileMin..quantileMax of policy
 *     buffer = quantile q of the most that the level of demand reaches until a new machine works,
 *              and what works off the backlog, less what is wanted now
 *
 * `wait` is what it is worth, per GPU and hour, that work does not wait; `idle` the price of the
 * cheapest GPU-hours that could serve the pool. One more idle GPU costs `idle` when it is not
 * needed (probability q) and saves `wait` when it is: at q both are equal in expectation
 * (newsvendor: Arrow, Harris & Marschak 1951, "Optimal inventory policy", Econometrica 19).
 * A buffer is never larger than `GROWTH_MAX` allows, whatever the forecast has seen.
 *
 * The GPUs of a buffer are such that every member of the pool can use them, if there are any;
 * otherwise each part of the pool gets its share (`split.ts`). Then come the policy's bounds by
 * GPU type. Unmet, a buffer costs its `wait`, and at most half of what its members' own demand
 * costs unmet: work that waits comes first.
 *
 * A pool begins with what public traffic would do (`forecast.ts`): about a quarter of demand for
 * boot times of some minutes. Demand without GPUs gets no buffer: waiting for it has no price.
 */
import {
  demandClassKey,
  MS_PER_MINUTE,
  type BufferPolicy,
  type DemandClass,
  type MicroUsd,
} from "../../core/index.ts";
import { demandQuantile } from "../forecast/forecast.ts";
import { compareText } from "../read-input.ts";
import { usdPerHour } from "../wording.ts";
import { wantedGpuCount, type DemandHistory, type DemandPool } from "./demand-history.ts";
import { idleMarket, isServed, type IdleMarket, type OfferedMarket } from "./idle-market.ts";
import { partsOf, shareOut, withinBounds, type HeldGpus, type PoolPart } from "./split.ts";

export interface BufferInput extends OfferedMarket {
  readonly history: DemandHistory;
  /** From the feedback over waits; default 1. */
  readonly gain?: number;
}

/** Idle containers to hold ready: a class of its own and its quantity in every scenario. */
export interface PlannedBuffer {
  /** Its id is `buffer/` and the key of its needs. */
  readonly demandClass: DemandClass;
  /** Containers, a whole number >= 1. */
  readonly quantity: number;
  /** For people. */
  readonly reason: string;
}

/** How the size of one pool's buffer came about. */
export interface PoolBuffer {
  readonly poolKey: string;
  /** GPUs wanted now. */
  readonly wantedGpuCount: number;
  /** GPUs to hold idle, before the policy's bounds by type. */
  readonly bufferGpuCount: number;
  /** GPUs beyond what the work keeps busy: the buffer, and idle ones that are wanted anyway. */
  readonly marginGpuCount: number;
  /** The quantile of demand that is held; absent when nothing serves the pool. */
  readonly quantile?: number;
  readonly leadMs?: number;
  readonly idleMicroUsdPerGpuHour?: MicroUsd;
  /** For people. */
  readonly reason: string;
}

export interface BufferPlan {
  /** Sorted by class id. */
  readonly buffers: readonly PlannedBuffer[];
  /** One for each pool, in the order of the history. */
  readonly pools: readonly PoolBuffer[];
}

/** Most growth of demand that is prepared for, in logs: a bit more than its double. */
const GROWTH_MAX = 0.7;
/** The part of a container that a forecast is too coarse to tell from none. */
const ROUNDING = 0.25;

/** Plans the buffers of all pools. O(different needs × offers), and sorting them by price. */
export function planBuffers(input: BufferInput): BufferPlan {
  const sized = input.history.pools.map((pool) => sizePool(pool, input));
  const held = sized.flatMap(({ pool, parts }) => heldOf(pool, parts, input.policy.buffers));
  return {
    buffers: toDemand(withinBounds(held, input.policy.buffers)),
    pools: sized.map(({ pool }) => pool),
  };
}

/**
 * The quantile of demand at which one more idle GPU costs as much as it saves.
 *
 * @param idleMicroUsdPerGpuHour >= 0.
 */
export function heldQuantile(idleMicroUsdPerGpuHour: MicroUsd, policy: BufferPolicy): number {
  const { waitMicroUsdPerGpuHour: wait, quantileMin, quantileMax } = policy;
  const both = wait + idleMicroUsdPerGpuHour;
  const balanced = both > 0 ? wait / both : quantileMin;
  return Math.min(quantileMax, Math.max(quantileMin, balanced));
}

interface SizedPool {
  readonly pool: PoolBuffer;
  readonly parts: readonly PoolPart[];
}

function sizePool(pool: DemandPool, input: BufferInput): SizedPool {
  const wanted = wantedGpuCount(pool);
  const { policy, gain = 1 } = input;
  const parts = partsOf(pool.members, (needs) => isServed(needs, input));
  const about = { poolKey: pool.poolKey, wantedGpuCount: wanted };
  const first = poolMarket(parts, 1, input);
  if (first === undefined) {
    const reason = "no buffer: no offer may serve this demand";
    return { pool: { ...about, bufferGpuCount: 0, marginGpuCount: 0, reason }, parts };
  }
  const most = (wanted + 1) * Math.exp(GROWTH_MAX) - 1;
  const demandAt = (quantile: number, leadMs: number): number =>
    demandQuantile(pool.forecast, { leadMs, quantile, gain });
  const largest = Math.min(most, demandAt(policy.buffers.quantileMax, first.leadMs));
  const market = poolMarket(parts, largest - wanted, input) ?? first;
  const quantile = heldQuantile(market.idleMicroUsdPerGpuHour, policy.buffers);
  const demand = demandAt(quantile, market.leadMs) + sumOf(pool, "backlogGpuCount");
  const unit = Math.min(1, ...parts.map(({ needs }) => needs.gpu.count));
  const units = Math.ceil((Math.min(most, demand) - wanted) / unit - ROUNDING);
  const bufferGpuCount = Math.max(0, units) * unit;
  // A forecast that has seen next to nothing knows no level yet.
  const level = Math.max(pool.forecast.samples?.level.value ?? 0, sumOf(pool, "offeredGpuCount"));
  const marginGpuCount = Math.max(0, Math.min(most, demand) - level);
  const figures = { ...about, bufferGpuCount, marginGpuCount, quantile, ...market };
  return { pool: { ...figures, reason: reasonOf(figures, demand, policy.buffers) }, parts };
}

function sumOf({ members }: DemandPool, name: "backlogGpuCount" | "offeredGpuCount"): number {
  return members.reduce((sum, member) => sum + member[name], 0);
}

/** The markets of the parts as one: prices by what each part wanted, the longest lead time. */
function poolMarket(
  parts: readonly PoolPart[],
  gpuCount: number,
  input: BufferInput,
): IdleMarket | undefined {
  let weights = 0;
  let cost = 0;
  let leadMs = 0;
  const sum = parts.reduce((total, part) => total + part.meanGpuCount, 0);
  for (const { needs, meanGpuCount } of parts) {
    const weight = sum > 0 ? meanGpuCount / sum : 1;
    const market = idleMarket(needs, gpuCount * weight, input);
    if (market === undefined) continue;
    weights += weight;
    cost += weight * market.idleMicroUsdPerGpuHour;
    leadMs = Math.max(leadMs, market.leadMs);
  }
  if (weights <= 0) return undefined;
  return { idleMicroUsdPerGpuHour: Math.round(cost / weights), leadMs };
}

function reasonOf(
  pool: Omit<Required<PoolBuffer>, "reason">,
  demand: number,
  policy: BufferPolicy,
): string {
  const { wantedGpuCount: wanted, bufferGpuCount, leadMs } = pool;
  const idle = usdPerHour(pool.idleMicroUsdPerGpuHour);
  const wait = usdPerHour(policy.waitMicroUsdPerGpuHour);
  const isCut = demand > wanted + bufferGpuCount + 1;
  return (
    `${rounded(bufferGpuCount)} idle for ${rounded(wanted)} wanted` +
    (isCut ? " (never more than as many again and one)" : "") +
    `: demand stays within ${Math.ceil(demand)} GPUs for ${rounded(leadMs / MS_PER_MINUTE)} min ` +
    `in ${rounded(pool.quantile * 100)} % of cases; an idle GPU costs ${idle}, waiting ${wait}`
  );
}

function rounded(value: number): string {
  return String(Math.round(value * 100) / 100);
}

function heldOf(
  pool: PoolBuffer,
  parts: readonly PoolPart[],
  policy: BufferPolicy,
): readonly HeldGpus[] {
  const shares = shareOut(pool.bufferGpuCount, parts);
  return parts.map(({ needs, unmetMicroUsdPerHour }, index) => ({
    needs,
    gpuCount: shares[index] ?? 0,
    reasons: [pool.reason],
    unmetMicroUsdPerHour: Math.min(
      Math.round(policy.waitMicroUsdPerGpuHour * needs.gpu.count),
      Math.floor(unmetMicroUsdPerHour / 2),
    ),
  }));
}

function toDemand(held: readonly HeldGpus[]): readonly PlannedBuffer[] {
  const alike = Map.groupBy(held, ({ needs }) => `buffer/${demandClassKey(needs)}`);
  return [...alike]
    .flatMap(([classId, same]) => plannedBuffer(classId, same))
    .sort((a, b) => compareText(a.demandClass.classId, b.demandClass.classId));
}

function plannedBuffer(classId: string, alike: readonly HeldGpus[]): readonly PlannedBuffer[] {
  const [first] = alike;
  const gpuCount = alike.reduce((sum, held) => sum + held.gpuCount, 0);
  const quantity = first === undefined ? 0 : Math.round(gpuCount / first.needs.gpu.count);
  if (first === undefined || quantity === 0) return [];
  const unmetMicroUsdPerHour = Math.min(...alike.map((held) => held.unmetMicroUsdPerHour));
  const demandClass = { classId, needs: first.needs, unmetMicroUsdPerHour };
  const reasons = new Set(alike.flatMap((held) => held.reasons));
  return [{ demandClass, quantity, reason: [...reasons].join("; ") }];
}
