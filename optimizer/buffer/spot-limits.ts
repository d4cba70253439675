/**
 * How much spot capacity one zone may hold where work must not wait.
 *
 * A zone mostly takes its spot machines back together. What the idle GPUs of the fleet can take
 * over goes on at once. Beyond that, a great part of what comes waits until new machines have
 * booted and what has gathered is worked off, even where few are missing; all is reckoned with:
 *
 *     share of inputs that wait for zone z = rate of its reclaims x (lead time + work-off)
 *
 * Zones are taken in the order of their rates while the sum of those shares is at most the share
 * that may wait by policy; they hold what the plan likes. Each of the others holds no more GPUs
 * than are idle, its cheapest machines first, or as many as the work needs where other machines
 * are too few: to have none is worse than to lose them. Machines that are there may stay until
 * they are half as many again, so that a buffer that shrinks for a while moves nothing; of more
 * than that a few are to move at a time.
 *
 * Rates are those of the offers. Two zones that go at once are not provided for.
 *
 * Pure. O(n log n) in the number of offers.
 */
import {
  MS_PER_HOUR,
  type ContainerNeeds,
  type Offer,
  type OptimizerPolicy,
} from "../../core/index.ts";
import { mayServe } from "../eligibility.ts";
import { WORK_OFF_MS } from "../forecast/offered-load.ts";
import { partOf } from "../market-rules.ts";
import type { PlanInput } from "../plan.ts";
import { compareText } from "../read-input.ts";

export interface SpotRisk {
  readonly offers: readonly Offer[];
  /** Nodes that are there; those of offers that are not listed with the offer. */
  readonly fleet: PlanInput["fleet"];
  /** GPUs that work is to have, by its needs. */
  readonly wanted: readonly { readonly needs: ContainerNeeds; readonly gpuCount: number }[];
  /** GPUs that are held idle. */
  readonly idleGpuCount: number;
  /** From a loss until new machines take work. */
  readonly leadMs: number;
  readonly policy: OptimizerPolicy;
}

/** Machines that are there may stay until they are so many times what may come. */
const STAY_FACTOR = 1.5;
/**
 * Share of the idle GPUs that may move out of a zone at one look. Looks come every ten seconds and
 * machines take some minutes to boot, so that what moves is never more than what is idle.
 */
const MOVE_FRACTION = 0.05;

/**
 * The market, with fewer nodes to be had where a zone would hold too much. Of what is there beyond
 * its limit a few are left out, so that a plan puts their work elsewhere and the pool ends them.
 */
export function limitedSpot(risk: SpotRisk): Pick<PlanInput, "offers" | "fleet"> {
  const { offers, fleet } = risk;
  const listed = new Set(offers.map(({ offerId }) => offerId));
  const closed = fleet.flatMap(({ offerId, offer }) =>
    offer === undefined || listed.has(offerId) ? [] : [offer],
  );
  const market = new Market([...offers, ...closed], fleet);
  const risky = riskyZones(market.offers, risk);
  const idleGpuCount = Math.max(risk.idleGpuCount, neededOfEach(risky, market, risk));
  const limits = new Map(risky.flatMap((own) => limitsWithin(own, market, idleGpuCount)));
  if (limits.size === 0) return { offers, fleet };
  return {
    offers: offers.map((offer) => {
      const nodeCountMax = Math.min(offer.nodeCountMax, limits.get(offer.offerId) ?? Infinity);
      return nodeCountMax === offer.nodeCountMax ? offer : { ...offer, nodeCountMax };
    }),
    fleet: fleet.map((entry) => {
      const { offerId, count } = entry;
      const limit = limits.get(offerId) ?? Infinity;
      if (count <= limit) return entry;
      const moving = (MOVE_FRACTION * idleGpuCount) / market.gpusOfNode(offerId);
      return { ...entry, count: Math.max(limit, count - Math.max(1, Math.floor(moving))) };
    }),
  };
}

/** Offers, those that are closed but have nodes among them, and how many nodes they have. */
class Market {
  readonly offers: readonly Offer[];
  readonly #byId: ReadonlyMap<string, Offer>;
  readonly #present: ReadonlyMap<string, number>;

  constructor(offers: readonly Offer[], fleet: PlanInput["fleet"]) {
    this.offers = offers;
    this.#byId = new Map(offers.map((offer) => [offer.offerId, offer]));
    this.#present = new Map(fleet.map(({ offerId, count }) => [offerId, count]));
  }

  presentOf(offerId: string): number {
    return this.#present.get(offerId) ?? 0;
  }

  gpusOfNode(offerId: string): number {
    return this.#byId.get(offerId)?.resources.gpuCount ?? 1;
  }

  /** GPUs of all nodes that there may be of some offers. */
  gpusIn(offers: readonly Offer[]): number {
    return offers.reduce((sum, { offerId, nodeCountMax, resources }) => {
      return sum + Math.max(nodeCountMax, this.presentOf(offerId)) * resources.gpuCount;
    }, 0);
  }
}

/** The spot offers of each zone that may hold no more than is idle. */
function riskyZones(
  offers: readonly Offer[],
  { leadMs, policy }: SpotRisk,
): readonly (readonly Offer[])[] {
  const spot = offers.filter(({ purchase, resources }) => {
    return purchase === "spot" && resources.gpuCount > 0;
  });
  const zones = [...Map.groupBy(spot, (offer) => partOf(offer, "zone"))]
    .map(([zone, own]) => ({ zone, own, share: waitingShare(own, leadMs) }))
    .sort((a, b) => a.share - b.share || compareText(a.zone, b.zone));
  let sum = 0;
  return zones.flatMap(({ own, share }) => {
    sum += share;
    return sum > policy.buffers.missFractionTarget ? [own] : [];
  });
}

/** Share of all inputs that wait because a zone goes; its worst offer speaks for it. */
function waitingShare(own: readonly Offer[], leadMs: number): number {
  const worst = Math.max(...own.map(({ reclaimFractionPerHour }) => reclaimFractionPerHour));
  const perHour = -Math.log(1 - Math.min(worst, 0.999_999));
  return (perHour * (leadMs + WORK_OFF_MS)) / MS_PER_HOUR;
}

/** GPUs that each risky zone must give where all other machines are too few for the work. */
function neededOfEach(
  risky: readonly (readonly Offer[])[],
  market: Market,
  { wanted, policy }: SpotRisk,
): number {
  const riskyIds = new Set(risky.flat().map(({ offerId }) => offerId));
  const others = market.offers.filter(({ offerId }) => !riskyIds.has(offerId));
  const missing = wanted.reduce((sum, { needs, gpuCount }) => {
    const serving = others.filter((offer) => mayServe(offer, needs, policy));
    return sum + Math.max(0, gpuCount - market.gpusIn(serving));
  }, 0);
  const sizes = risky.map((own) => market.gpusIn(own));
  return missing === 0 ? 0 : evenShare(missing, sizes);
}

/** The least that each of some sizes gives when all give `amount`; Infinity if they cannot. */
function evenShare(amount: number, sizes: readonly number[]): number {
  let left = amount;
  const sorted = sizes.toSorted((a, b) => a - b);
  for (const [index, size] of sorted.entries()) {
    const count = sorted.length - index;
    if (size * count >= left) return left / count;
    left -= size;
  }
  return Infinity;
}

/** Nodes by offer that the idle GPUs can take over, the cheapest per GPU first. */
function limitsWithin(
  own: readonly Offer[],
  market: Market,
  idleGpuCount: number,
): readonly (readonly [offerId: string, limit: number])[] {
  const perGpu = ({ priceMicroUsdPerHour, resources }: Offer): number =>
    priceMicroUsdPerHour / resources.gpuCount;
  const cheapest = [...own].sort(
    (a, b) => perGpu(a) - perGpu(b) || compareText(a.offerId, b.offerId),
  );
  let newGpus = idleGpuCount;
  let stayingGpus = STAY_FACTOR * idleGpuCount;
  return cheapest.map(({ offerId, nodeCountMax, resources: { gpuCount } }) => {
    const here = Math.min(market.presentOf(offerId), Math.floor(stayingGpus / gpuCount));
    const limit = Math.max(here, Math.floor(Math.max(0, newGpus) / gpuCount));
    const held = Math.min(limit, Math.max(nodeCountMax, here)) * gpuCount;
    newGpus -= held;
    stayingGpus -= held;
    return [offerId, limit];
  });
}
