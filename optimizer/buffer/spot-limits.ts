/**
 * How much spot capacity one zone may hold where work must not wait.
 *
 * A zone mostly takes its spot machines back together. What the idle GPUs of the fleet can take
 * over goes on at once. Beyond that, all that comes waits until new machines have booted and what
 * has gathered is worked off, however few are missing, since what came first is served first:
 *
 *     share of inputs that wait for zone z = rate of its reclaims x (lead time + work-off)
 *
 * Zones are taken in the order of their rates while the sum of those shares is at most the share
 * that may wait by policy; they hold what the plan likes. Each of the others holds no more GPUs
 * than are idle, its cheapest machines first. Machines that are there may stay until they are half
 * as many again, so that a buffer that shrinks for a while moves nothing.
 *
 * Rates are those of the offers. Two zones that go at once are not provided for, nor are machines
 * that stand in for refused ones (`pool/stand-ins.ts`): those are rented beside a plan.
 *
 * Pure. O(n log n) in the number of offers.
 */
import { MS_PER_HOUR, type Offer } from "../../core/index.ts";
import { WORK_OFF_MS } from "../forecast/offered-load.ts";
import { partOf } from "../market-rules.ts";
import { compareText } from "../read-input.ts";

export interface SpotRisk {
  readonly offers: readonly Offer[];
  /** Nodes that are there, by offer id. */
  readonly present: ReadonlyMap<string, number>;
  /** GPUs that are held idle. */
  readonly idleGpuCount: number;
  /** From a loss until new machines take work. */
  readonly leadMs: number;
  /** Share of inputs that may wait, 0..1. */
  readonly missFractionTarget: number;
}

/** Machines that are there may stay until they are so many times what may come. */
const STAY_FACTOR = 1.5;

/** The offers, with fewer nodes to be had where a zone would hold too much; in the same order. */
export function limitedSpot(risk: SpotRisk): readonly Offer[] {
  const { offers } = risk;
  const spot = offers.filter(({ purchase, resources }) => {
    return purchase === "spot" && resources.gpuCount > 0;
  });
  const zones = [...Map.groupBy(spot, (offer) => partOf(offer, "zone"))]
    .map(([zone, own]) => ({ zone, own, share: waitingShare(own, risk) }))
    .sort((a, b) => a.share - b.share || compareText(a.zone, b.zone));
  const limits = new Map<string, number>();
  let sum = 0;
  for (const { own, share } of zones) {
    sum += share;
    if (sum <= risk.missFractionTarget) continue;
    for (const [offerId, limit] of limitsWithin(own, risk)) limits.set(offerId, limit);
  }
  if (limits.size === 0) return offers;
  return offers.map((offer) => {
    const nodeCountMax = Math.min(offer.nodeCountMax, limits.get(offer.offerId) ?? Infinity);
    return nodeCountMax === offer.nodeCountMax ? offer : { ...offer, nodeCountMax };
  });
}

/** Share of all inputs that wait because a zone goes; its worst offer speaks for it. */
function waitingShare(own: readonly Offer[], { leadMs }: SpotRisk): number {
  const worst = Math.max(...own.map(({ reclaimFractionPerHour }) => reclaimFractionPerHour));
  const perHour = -Math.log(1 - Math.min(worst, 0.999_999));
  return (perHour * (leadMs + WORK_OFF_MS)) / MS_PER_HOUR;
}

/** Nodes by offer that the idle GPUs can take over, the cheapest per GPU first. */
function limitsWithin(
  own: readonly Offer[],
  { idleGpuCount, present }: SpotRisk,
): ReadonlyMap<string, number> {
  const perGpu = ({ priceMicroUsdPerHour, resources }: Offer): number =>
    priceMicroUsdPerHour / resources.gpuCount;
  const cheapest = [...own].sort(
    (a, b) => perGpu(a) - perGpu(b) || compareText(a.offerId, b.offerId),
  );
  const limits = new Map<string, number>();
  let newGpus = idleGpuCount;
  let stayingGpus = STAY_FACTOR * idleGpuCount;
  for (const { offerId, nodeCountMax, resources } of cheapest) {
    const { gpuCount } = resources;
    const here = Math.min(present.get(offerId) ?? 0, Math.floor(stayingGpus / gpuCount));
    const limit = Math.max(here, Math.floor(Math.max(0, newGpus) / gpuCount));
    limits.set(offerId, limit);
    const held = Math.min(limit, nodeCountMax) * gpuCount;
    newGpus -= held;
    stayingGpus -= held;
  }
  return limits;
}
