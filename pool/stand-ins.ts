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
 * Nodes beyond their own line that could stand in for a line that lacks nodes are kept, and no
 * more are rented to stand in for it: a plan, a memory of refusals or a process that is replaced
 * leads to no second fleet. The planned offer itself is asked for all that its line lacks, so that
 * a plan can still replace one kind of machine by another.
 *
 * Pure. O(offers log offers) for a line, O(lines * offers with nodes) for the staffing.
 */
import type { CloudName, MicroUsd, Node, Offer } from "../core/index.ts";
import type { DesiredLine } from "./ports.ts";

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

/** How many nodes there are for each line. */
export interface Staffing {
  /** Nodes by their own offer. */
  readonly ownCountOf: ReadonlyMap<string, number>;
  /** By the offer of a line that lacks nodes: nodes beyond other lines that serve in their place. */
  readonly substituteCountOf: ReadonlyMap<string, number>;
  /** By a node's own offer: nodes beyond its line that serve in place of others. */
  readonly keptCountOf: ReadonlyMap<string, number>;
}

/**
 * Counts nodes for lines: each for the line of its own offer; what is left over there serves in
 * place of nodes that other lines lack, in the order of the lines.
 *
 * @param nodes those that are there or coming.
 * @param offersById everything on offer; lines and nodes of other offers have no substitutes.
 */
export function staffLines(
  lines: ReadonlyMap<string, DesiredLine>,
  nodes: readonly Node[],
  offersById: ReadonlyMap<string, Offer>,
): Staffing {
  const own = new Map<string, number>();
  for (const { offerId = "" } of nodes) own.set(offerId, (own.get(offerId) ?? 0) + 1);
  const excess = new Map(
    [...own]
      .map(([offerId, count]) => [offerId, count - (lines.get(offerId)?.count ?? 0)] as const)
      .filter(([, count]) => count > 0),
  );
  const substituteCountOf = new Map<string, number>();
  const keptCountOf = new Map<string, number>();
  for (const line of lines.values()) {
    const wanted = offersById.get(line.offerId);
    let lacking = line.count - (own.get(line.offerId) ?? 0);
    const servesFor = (offerId: string): boolean => {
      const offer = offersById.get(offerId);
      if (wanted === undefined || offer === undefined) return false;
      return hasRoomOf(offer, wanted) && isAllowed(offer, wanted, line);
    };
    if (lacking <= 0) continue;
    for (const [offerId, count] of excess) {
      const taken = Math.min(count, lacking);
      if (taken <= 0 || !servesFor(offerId)) continue;
      lacking -= taken;
      excess.set(offerId, count - taken);
      add(keptCountOf, offerId, taken);
      add(substituteCountOf, line.offerId, taken);
    }
  }
  return { ownCountOf: own, substituteCountOf, keptCountOf };
}

function add(counts: Map<string, number>, key: string, count: number): void {
  counts.set(key, (counts.get(key) ?? 0) + count);
}

/** Whether the containers planned for one machine fit on the other. */
function hasRoomOf(offer: Offer, wanted: Offer): boolean {
  const { gpuCount, cpuMilli, memoryMiB, diskMiB = 0 } = wanted.resources;
  return (
    offer.gpuType === wanted.gpuType &&
    offer.emulated === wanted.emulated &&
    offer.resources.gpuCount === gpuCount &&
    offer.resources.cpuMilli >= cpuMilli &&
    offer.resources.memoryMiB >= memoryMiB &&
    (offer.resources.diskMiB ?? 0) >= diskMiB
  );
}

function canStandIn(offer: Offer, wanted: Offer, view: StandInView): boolean {
  const price = offer.priceMicroUsdPerHour;
  return (
    hasRoomOf(offer, wanted) &&
    price <= wanted.priceMicroUsdPerHour * view.priceFactorMax &&
    price <= wanted.priceMicroUsdPerHour + view.extraMicroUsdPerHourMax
  );
}

function isAllowed(offer: Offer, wanted: Offer, { standIns }: DesiredLine): boolean {
  if (offer.purchase === "reserved") return false;
  if (standIns === undefined) return isAtSamePlace(offer, wanted);
  const { clouds, regions, zones, purchases } = standIns;
  return (
    purchases.includes(offer.purchase) &&
    (clouds?.includes(offer.cloud) ?? true) &&
    (regions?.includes(offer.region) ?? true) &&
    (zones === undefined || (offer.zone !== undefined && zones.includes(offer.zone)))
  );
}

function isAtSamePlace(one: Offer, other: Offer): boolean {
  const { cloud, region, purchase } = other;
  return one.cloud === cloud && one.region === region && one.purchase === purchase;
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
