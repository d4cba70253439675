/**
 * What no policy can pay less than, for the work of one run.
 *
 * - B0 = sum over functions of GPU-hours * the cheapest price per GPU-hour that may serve them.
 *   Valid whatever a policy waits; ignores ramps.
 * - B60 = layers (`layers.ts`) of the concurrency that the run would have had without waiting, in
 *   means of 60 s, each launch paying its boot. Functions that could share a machine are one
 *   pool: their concurrency is added up and priced at the pool's cheapest offer, since one
 *   machine may serve one after the other. So it bounds each pool, and the sum bounds all. Where
 *   the functions of a pool have different prices, adding up may lose against B0; the larger of
 *   the two bounds the pool.
 *
 * A price is the lowest that an offer ever has in the run. Functions without GPUs count nothing:
 * they may run beside others. Means over 60 s hide waits of seconds on purpose: a policy may let
 * inputs wait for 2 s, and is then not held to peaks that last a second. A policy that delays
 * work by minutes could pay less than B60, never less than B0.
 */
import {
  MS_PER_HOUR,
  MS_PER_SECOND,
  type ContainerNeeds,
  type Offer,
  type OptimizerPolicy,
} from "../../core/index.ts";
import { mayServe } from "../../optimizer/index.ts";
import { isMatch } from "../offer-match.ts";
import type { BoundReport } from "../result.ts";
import type { SimulatedMarket } from "../world.ts";
import { layeredCost } from "./layers.ts";

const SECONDS_PER_HOUR = MS_PER_HOUR / MS_PER_SECOND;

/** The work of one function. */
export interface BoundedDemand {
  readonly needs: ContainerNeeds;
  /** GPUs that its inputs would hold, mean by bucket (`ConcurrencyMeter`). */
  readonly concurrency: Float64Array;
}

export interface BoundInput {
  readonly demands: readonly BoundedDemand[];
  readonly market: Pick<SimulatedMarket, "offers" | "events">;
  readonly policy: OptimizerPolicy;
  readonly bucketMs: number;
}

/**
 * The bounds of a run; work that no offer may serve costs nothing. Whole micro-dollars, rounded
 * down. O(demands * (offers + buckets)).
 */
export function boundsOf({ demands, market, policy, bucketMs }: BoundInput): BoundReport {
  const offers = atLowestPrices(market).filter(({ resources }) => resources.gpuCount > 0);
  let b0 = 0;
  let b60 = 0;
  for (const pool of poolsOf(demands, offers, policy)) {
    const b0OfPool = pool.members.reduce((sum, member) => sum + workCost(member, bucketMs), 0);
    b0 += b0OfPool;
    b60 += Math.max(b0OfPool, layerCost(pool, bucketMs));
  }
  return { b0MicroUsd: Math.floor(b0), b60MicroUsd: Math.floor(b60) };
}

/** The offers of a market, each at the lowest price that it has at any time. */
export function atLowestPrices({ offers, events }: BoundInput["market"]): readonly Offer[] {
  return offers.map((offer) => {
    let factor = 1;
    for (const event of events) {
      if (event.kind === "price" && isMatch(offer, event.match)) {
        factor = Math.min(factor, event.factor);
      }
    }
    return { ...offer, priceMicroUsdPerHour: offer.priceMicroUsdPerHour * factor };
  });
}

interface Member {
  readonly demand: BoundedDemand;
  readonly offers: readonly Offer[];
}

/** Functions that could share machines, directly or through others. */
interface Pool {
  readonly members: readonly Member[];
  readonly offerIds: ReadonlySet<string>;
}

function poolsOf(
  demands: readonly BoundedDemand[],
  offers: readonly Offer[],
  policy: OptimizerPolicy,
): readonly Pool[] {
  let pools: readonly Pool[] = [];
  for (const demand of demands) {
    if (demand.needs.gpu === undefined) continue;
    const own = offers.filter((offer) => mayServe(offer, demand.needs, policy));
    if (own.length === 0) continue;
    const isJoined = ({ offerIds }: Pool): boolean =>
      own.some(({ offerId }) => offerIds.has(offerId));
    const joined = pools.filter(isJoined);
    const one: Pool = {
      members: [...joined.flatMap(({ members }) => members), { demand, offers: own }],
      offerIds: new Set([
        ...joined.flatMap(({ offerIds }) => [...offerIds]),
        ...own.map(({ offerId }) => offerId),
      ]),
    };
    pools = [...pools.filter((pool) => !isJoined(pool)), one];
  }
  return pools;
}

function workCost({ demand, offers }: Member, bucketMs: number): number {
  const gpuHours =
    (demand.concurrency.reduce((sum, gpus) => sum + gpus, 0) * bucketMs) / MS_PER_HOUR;
  return gpuHours * cheapest(offers);
}

function layerCost({ members }: Pool, bucketMs: number): number {
  const length = Math.max(...members.map(({ demand }) => demand.concurrency.length));
  const total = new Float64Array(length);
  for (const { demand } of members) {
    for (const [bucket, gpus] of demand.concurrency.entries()) {
      total[bucket] = (total[bucket] ?? 0) + gpus;
    }
  }
  const offers = members.flatMap((member) => member.offers);
  const { workSeconds, rampSeconds } = layeredCost(total, {
    bucketSeconds: bucketMs / MS_PER_SECOND,
    bootSeconds: Math.min(...offers.map(({ bootMs }) => bootMs)) / MS_PER_SECOND,
  });
  return ((workSeconds + rampSeconds) / SECONDS_PER_HOUR) * cheapest(offers);
}

/** The lowest price of a GPU-hour. */
function cheapest(offers: readonly Offer[]): number {
  return Math.min(
    ...offers.map(
      ({ priceMicroUsdPerHour, resources }) => priceMicroUsdPerHour / resources.gpuCount,
    ),
  );
}
