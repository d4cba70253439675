/** Markets made of few words: zones of spot machines, losses of zones, measured availability. */
import { MS_PER_HOUR, offerIdOf, type Offer, type Rng } from "../core/index.ts";
import type { AvailabilityTrace, MarketEvent } from "./world.ts";

export interface SpotZones {
  /** The machine, as it is on demand; zones get its region and a name of their own. */
  readonly offer: Offer;
  readonly zones: readonly string[];
  /** Price, as a share of the on-demand price. */
  readonly priceFraction: number;
  readonly reclaimFractionPerHour: number;
  /** Machines that one zone has at most. */
  readonly nodeCountMax: number;
}

/** One spot offer a zone. */
export function spotOffers({ offer, zones, priceFraction, ...rest }: SpotZones): readonly Offer[] {
  return zones.map((zone) => {
    const spot: Omit<Offer, "offerId"> = {
      ...offer,
      ...rest,
      zone,
      purchase: "spot",
      priceMicroUsdPerHour: Math.round(offer.priceMicroUsdPerHour * priceFraction),
    };
    return { ...spot, offerId: offerIdOf(spot) };
  });
}

export interface ZoneLosses {
  readonly zones: readonly string[];
  /** Mean time between two losses of one zone. */
  readonly everyHours: number;
  /** Share of its spot machines that go, 0..1. */
  readonly fraction: number;
  readonly hours: number;
}

/** Moments when a zone takes back many machines at once: a Poisson process for each zone. */
export function zoneLosses(losses: ZoneLosses, rng: Rng): readonly MarketEvent[] {
  const { zones, everyHours, fraction, hours } = losses;
  const events = zones.flatMap((zone) => {
    const chance = rng.fork(`zone/${zone}`);
    const found: MarketEvent[] = [];
    const gapMs = (): number => -everyHours * MS_PER_HOUR * Math.log(1 - chance.next());
    for (let atMs = gapMs(); atMs < hours * MS_PER_HOUR; atMs += gapMs()) {
      found.push({ kind: "reclaim", atMs, match: { zone, purchase: "spot" }, fraction });
    }
    return found;
  });
  return events.sort((a, b) => a.atMs - b.atMs);
}

/**
 * Measured availability laid on offers, one trace each, and traces over again when there are more
 * offers than traces.
 */
export function availabilityOf(
  offers: readonly Offer[],
  traces: readonly Omit<AvailabilityTrace, "offerIds">[],
): readonly AvailabilityTrace[] {
  return offers.flatMap(({ offerId }, index) => {
    const trace = traces[index % traces.length];
    return trace === undefined ? [] : [{ ...trace, offerIds: [offerId] }];
  });
}

/**
 * What a planner may know of a zone beforehand: the share of its machines that goes in an hour,
 *
 *     1 - exp(- machines lost / machine-hours)
 */
export function lossPerHour({ nodeCounts, stepMs }: Omit<AvailabilityTrace, "offerIds">): number {
  let lost = 0;
  let held = 0;
  for (const [step, count] of nodeCounts.entries()) {
    held += count;
    lost += Math.max(0, count - (nodeCounts[step + 1] ?? count));
  }
  return 1 - Math.exp(-(lost * MS_PER_HOUR) / (held * stepMs));
}
