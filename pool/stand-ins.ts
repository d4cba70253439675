/**
 * Stand-ins: what to rent when the offer of a plan line is refused.
 *
 * A machine stands in for a planned one when containers planned for that one fit on it: the same
 * GPU type and count, resources at least as large, in a place and by a purchase option that the
 * line's rule allows, for at most `standInPriceFactorMax` times the price, and so that the fleet
 * stays within the budget. The planner's choice comes first, then stand-ins by price. One request
 * can name offers of one region and purchase option only, so the choices are groups, to be
 * tried one after the other within the same tick: a demand fails only when all of them do.
 * Offers whose machines are being taken back come last.
 *
 * A stand-in counts for its line as long as the line's offer is refused; after that it counts
 * for itself only, so that the plan may replace it.
 *
 * Pure. O(offers log offers) for a line.
 */
import type { CloudName, MicroUsd, Offer } from "../core/index.ts";
import type { DesiredLine, PoolRecord } from "./ports.ts";

/** What decides about stand-ins. */
export interface StandInView {
  /** Everything on offer. */
  readonly offers: readonly Offer[];
  /** Whether an offer can be rented now: not refused, its cloud in reach, room left. */
  readonly isOpen: (offer: Offer) => boolean;
  /** Whether an offer is to be tried only after the others: its machines are being taken back. */
  readonly isLast: (offer: Offer) => boolean;
  /** Highest price of a stand-in, as a multiple of the planned one's. */
  readonly priceFactorMax: number;
  /** What one machine may cost beyond its planned price without breaking the budget. */
  readonly extraMicroUsdPerHourMax: MicroUsd;
}

/** Offers that one request may name together, best first. */
export type RentChoice = readonly Offer[];

/** Most offers of one request; EC2 takes 300 overrides, and each offer may be several. */
export const OFFER_COUNT_MAX = 20;

/** Most requests that one line may lead to in a tick. */
export const CHOICE_COUNT_MAX = 6;

/** The requests to try for a line, best first; empty when nothing acceptable is open. */
export function rentChoices(
  line: DesiredLine,
  wanted: Offer,
  view: StandInView,
): readonly RentChoice[] {
  const standIns = view.offers
    .filter((offer) => offer.offerId !== wanted.offerId && view.isOpen(offer))
    .filter((offer) => canStandIn(offer, wanted, view) && isAllowed(offer, wanted, line))
    .sort(byPrice);
  const open = view.isOpen(wanted) ? [wanted, ...standIns] : standIns;
  const last = open.filter(view.isLast);
  const others = open.filter((offer) => !view.isLast(offer));
  const groups = [others, last].flatMap((part) => [...Map.groupBy(part, placeOf).values()]);
  return groups.slice(0, CHOICE_COUNT_MAX).map((group) => group.slice(0, OFFER_COUNT_MAX));
}

/** How many nodes each line has, and how many nodes of each offer are needed beyond its line. */
export interface Staffing {
  /** By offer of a line: its own nodes, and those that stand in for it. */
  readonly countOf: ReadonlyMap<string, number>;
  /** By a node's own offer: nodes that stand in for another line. */
  readonly standInCountOf: ReadonlyMap<string, number>;
}

/**
 * Counts nodes for lines: each for the line of its own offer first; what is left over there may
 * stand in for the line it was rented for, while `isRefused` says that line's offer is refused.
 */
export function staffLines(
  lines: ReadonlyMap<string, DesiredLine>,
  records: readonly PoolRecord[],
  isRefused: (offerId: string) => boolean,
): Staffing {
  const own = Map.groupBy(records, ({ node }) => node.offerId ?? "");
  const countOf = new Map([...own].map(([offerId, nodes]) => [offerId, nodes.length]));
  const standInCountOf = new Map<string, number>();
  for (const [offerId, nodes] of own) {
    const wanted = lines.get(offerId)?.count ?? 0;
    let excess = nodes.length - wanted;
    for (const { standsInFor } of nodes) {
      if (excess <= 0) break;
      if (standsInFor === undefined || !isRefused(standsInFor)) continue;
      const line = lines.get(standsInFor);
      const count = countOf.get(standsInFor) ?? 0;
      if (line === undefined || count >= line.count) continue;
      excess -= 1;
      countOf.set(standsInFor, count + 1);
      standInCountOf.set(offerId, (standInCountOf.get(offerId) ?? 0) + 1);
    }
  }
  return { countOf, standInCountOf };
}

function canStandIn(offer: Offer, wanted: Offer, view: StandInView): boolean {
  const price = offer.priceMicroUsdPerHour;
  const { gpuCount, cpuMilli, memoryMiB, diskMiB = 0 } = wanted.resources;
  return (
    offer.gpuType === wanted.gpuType &&
    offer.emulated === wanted.emulated &&
    offer.resources.gpuCount === gpuCount &&
    offer.resources.cpuMilli >= cpuMilli &&
    offer.resources.memoryMiB >= memoryMiB &&
    (offer.resources.diskMiB ?? 0) >= diskMiB &&
    price <= wanted.priceMicroUsdPerHour * view.priceFactorMax &&
    price <= wanted.priceMicroUsdPerHour + view.extraMicroUsdPerHourMax
  );
}

function isAllowed(offer: Offer, wanted: Offer, { standIns }: DesiredLine): boolean {
  if (offer.purchase === "reserved") return false;
  if (standIns === undefined) return placeOf(offer) === placeOf(wanted);
  const { clouds, regions, zones, purchases } = standIns;
  return (
    purchases.includes(offer.purchase) &&
    (clouds?.includes(offer.cloud) ?? true) &&
    (regions?.includes(offer.region) ?? true) &&
    (zones === undefined || (offer.zone !== undefined && zones.includes(offer.zone)))
  );
}

/** What the offers of one request share. */
function placeOf({ cloud, region, purchase }: Offer): `${CloudName}/${string}` {
  return `${cloud}/${region}/${purchase}`;
}

function byPrice(one: Offer, other: Offer): number {
  if (one.priceMicroUsdPerHour !== other.priceMicroUsdPerHour) {
    return one.priceMicroUsdPerHour - other.priceMicroUsdPerHour;
  }
  if (one.reclaimFractionPerHour !== other.reclaimFractionPerHour) {
    return one.reclaimFractionPerHour - other.reclaimFractionPerHour;
  }
  return one.offerId < other.offerId ? -1 : 1;
}
