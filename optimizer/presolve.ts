/**
 * The problem as it is solved: what can matter, numbered, and no more.
 *
 * Three exact reductions, none of which changes the optimum:
 * - An offer that no class may use is dropped, unless nodes of it are there now.
 * - Offers whose nodes are alike (same resources, GPU type, classes, and costs of containers)
 *   form one group, and containers are assigned to groups: x stays per offer, y is per group. A
 *   packing on the nodes of a group is a packing on the nodes of its offers.
 * - In a group, among offers under the same quotas and rules, an offer is dropped once the offers
 *   that cost no more have nodes for every container that could ever come (one a node).
 *
 * Demand beyond what all nodes together hold is unmet whatever the plan; it is taken out, so
 * that huge demand gives no huge numbers. Shape: all lists are in id order, so equal inputs give
 * equal problems. Cost: offers + places x classes, where a place is a (GPU type, cloud, region,
 * spot or not, resources).
 */
import {
  resourcesOf,
  usdFromMicroUsd,
  type DemandClass,
  type Offer,
  type Resources,
} from "../core/index.ts";
import { containerCosts, containerRentUsd, nodeCosts } from "./costs.ts";
import { fitsOnNode, mayServeThere, policyObstacle } from "./eligibility.ts";
import { concentrationsOf, quotasOf, ruleKeyOf, sharesOf } from "./market-rules.ts";
import { fitCount, roomOf } from "./packing.ts";
import type { PlanInput } from "./plan.ts";
import type { OfferGroup, Problem, ProblemClass, ProblemOffer, RuledOutNodes } from "./problem.ts";
import { compareText } from "./read-input.ts";

/** Builds the problem. @param input as `readInput` gives it. */
export function presolve(input: PlanInput): Problem {
  const market = marketOf(input);
  const candidates = candidatesOf(input, market);
  const drafts = groupDrafts(input, candidates);
  const offers = offersOf(input, drafts);
  const references = referenceRents(input, drafts);
  const groups = groupsOf(input, drafts, offers, references);
  const classes = classesOf(input, groups, offers);
  const ruledOut = ruledOutOf(input, market);
  const committedUsd = committedUsdOf(market);
  const budget = input.policy.budgetMicroUsdPerHourMax;
  return {
    input,
    offers,
    groups,
    classes,
    probabilities: input.scenarios.map((scenario) => scenario.probability),
    quotas: quotasOf(input, offers),
    shares: sharesOf(input.policy, offers),
    concentrations: concentrationsOf(input.policy, offers),
    // What is committed cannot be given up: a budget below it allows no rent at all.
    budgetUsd:
      budget === undefined ? undefined : Math.max(0, usdFromMicroUsd(budget) - committedUsd),
    fixed: {
      committedUsd,
      excessUsd: excessUsdOf(input, classes),
      ruledOutUsd: ruledOut.reduce(
        (sum, { offer, count }) => sum + count * nodeCosts(offer, input.policy).releaseUsd,
        0,
      ),
    },
    ruledOut,
    unknown: input.fleet.filter(
      ({ offerId, count }) => count > 0 && !market.some((entry) => entry.offer.offerId === offerId),
    ),
    offersConsidered: input.offers.length,
  };
}

interface MarketEntry {
  readonly offer: Offer;
  readonly present: number;
  readonly countMax: number;
}

/** Listed offers, and unlisted ones of known shape that have nodes; by id. */
function marketOf(input: PlanInput): readonly MarketEntry[] {
  const present = new Map(input.fleet.map((entry) => [entry.offerId, entry.count]));
  const listed = input.offers.map((offer) => {
    const count = present.get(offer.offerId) ?? 0;
    return { offer, present: count, countMax: Math.max(count, offer.nodeCountMax) };
  });
  const listedIds = new Set(input.offers.map((offer) => offer.offerId));
  const unlisted = input.fleet.flatMap(({ offerId, offer, count }) =>
    offer && !listedIds.has(offerId) ? [{ offer, present: count, countMax: count }] : [],
  );
  return [...listed, ...unlisted].sort((a, b) => compareText(a.offer.offerId, b.offer.offerId));
}

interface Candidate extends MarketEntry {
  /** Classes that may use it, ascending. */
  readonly classIndexes: readonly number[];
  /** Equal for equal `classIndexes`. */
  readonly classSetId: number;
}

/** What policy allows and of which there are nodes, with the classes that may use it. */
function candidatesOf(input: PlanInput, market: readonly MarketEntry[]): readonly Candidate[] {
  const sets = new Map<string, number>();
  const byPlace = new Map<string, Pick<Candidate, "classIndexes" | "classSetId">>();
  const suitors = new Map<string, readonly number[]>();
  return market
    .filter(({ offer, countMax }) => countMax > 0 && !policyObstacle(offer, input.policy))
    .map((entry) => {
      const place = placeKeyOf(entry.offer);
      const site = `${place}/${shapeKeyOf(entry.offer.resources)}`;
      const known = byPlace.get(site);
      if (known) return { ...entry, ...known };
      const there = suitors.get(place) ?? suitorsOf(input, entry.offer);
      suitors.set(place, there);
      const room = roomOf(entry.offer.resources);
      const classIndexes = there.filter((index) => fits(input.classes[index], room));
      const key = classIndexes.join(",");
      const classSetId = sets.get(key) ?? sets.size;
      sets.set(key, classSetId);
      byPlace.set(site, { classIndexes, classSetId });
      return { ...entry, classIndexes, classSetId };
    });
}

function fits(demand: DemandClass | undefined, room: ReturnType<typeof roomOf>): boolean {
  return demand !== undefined && fitsOnNode(room, demand.needs);
}

/** Classes that may use an offer's place, whatever its size. */
function suitorsOf(input: PlanInput, offer: Offer): readonly number[] {
  return input.classes.flatMap((demand, index) =>
    mayServeThere(offer, demand.needs, input.policy) ? [index] : [],
  );
}

function placeKeyOf({ gpuType, cloud, region, purchase }: Offer): string {
  return `${gpuType ?? ""}/${cloud}/${region}/${purchase === "spot" ? "spot" : "steady"}`;
}

function shapeKeyOf({ gpuCount, cpuMilli, memoryMiB }: Resources): string {
  return `${gpuCount}/${cpuMilli}/${memoryMiB}`;
}

interface Member {
  readonly candidate: Candidate;
  readonly countMax: number;
}

interface GroupDraft {
  readonly classIndexes: readonly number[];
  readonly members: readonly Member[];
}

function groupDrafts(input: PlanInput, candidates: readonly Candidate[]): readonly GroupDraft[] {
  const { policy } = input;
  // Costs of containers differ by place only when somebody states such costs.
  const hasPlaceCosts =
    Object.keys(policy.regionMicroUsdPerContainerHour).length > 0 ||
    input.classes.some(({ home }) => home !== undefined);
  const byKey = Map.groupBy(
    candidates.filter(({ classIndexes, present }) => classIndexes.length > 0 || present > 0),
    ({ offer, classSetId }) => {
      const place = hasPlaceCosts ? `${offer.cloud}/${offer.region}` : "";
      return `${offer.gpuType ?? ""}/${shapeKeyOf(offer.resources)}/${classSetId}/${place}`;
    },
  );
  return [...byKey.values()].map((alike) => ({
    classIndexes: alike[0]?.classIndexes ?? [],
    members: withoutDominated(input, alike),
  }));
}

/** Keeps the offers of a group that an optimum may need. */
function withoutDominated(input: PlanInput, group: readonly Candidate[]): readonly Member[] {
  const classIds = (group[0]?.classIndexes ?? []).map((index) => input.classes[index]?.classId);
  const usable = Math.max(
    0,
    ...input.scenarios.map(({ quantity }) =>
      classIds.reduce((sum, classId) => sum + (quantity[classId ?? ""] ?? 0), 0),
    ),
  );
  const alike = Map.groupBy(group, ({ offer }) => ruleKeyOf(input, offer));
  return [...alike.values()].flatMap((members) => cheapestUpTo(input, members, usable));
}

function cheapestUpTo(
  input: PlanInput,
  alike: readonly Candidate[],
  usable: number,
): readonly Member[] {
  const priced = alike.map((candidate) => {
    const { rentUsd, reclaimUsd, launchUsd } = nodeCosts(candidate.offer, input.policy);
    return { candidate, rentUsd, usd: rentUsd + reclaimUsd + launchUsd };
  });
  priced.sort((a, b) => a.usd - b.usd || a.rentUsd - b.rentUsd);
  const members: Member[] = [];
  const taken: { readonly rentUsd: number; readonly countMax: number }[] = [];
  for (const { candidate, rentUsd } of priced) {
    const cheaper = taken.reduce((sum, t) => sum + (t.rentUsd <= rentUsd ? t.countMax : 0), 0);
    if (cheaper >= usable && candidate.present === 0) continue;
    const countMax = Math.max(candidate.present, Math.min(candidate.countMax, usable));
    if (countMax === 0) continue;
    members.push({ candidate, countMax });
    taken.push({ rentUsd, countMax });
  }
  return members;
}

function offersOf(input: PlanInput, drafts: readonly GroupDraft[]): readonly ProblemOffer[] {
  return drafts
    .flatMap(({ members }, groupIndex) => members.map((member) => ({ ...member, groupIndex })))
    .sort((a, b) => compareText(a.candidate.offer.offerId, b.candidate.offer.offerId))
    .map(({ candidate: { offer, present }, countMax, groupIndex }) => ({
      offer,
      groupIndex,
      present,
      countMax,
      ...nodeCosts(offer, input.policy),
    }));
}

/**
 * The least rent of one container of each class, USD/h. A step down the list of GPU types costs
 * a fraction of this.
 */
function referenceRents(input: PlanInput, drafts: readonly GroupDraft[]): readonly number[] {
  const least = input.classes.map(() => Infinity);
  for (const { classIndexes, members } of drafts) {
    const [first] = members;
    if (!first) continue;
    const price = Math.min(...members.map(({ candidate }) => candidate.offer.priceMicroUsdPerHour));
    const cheapest = { ...first.candidate.offer, priceMicroUsdPerHour: price };
    for (const index of classIndexes) {
      const needs = input.classes[index]?.needs;
      const rent = needs ? containerRentUsd(cheapest, resourcesOf(needs)) : Infinity;
      least[index] = Math.min(least[index] ?? Infinity, rent);
    }
  }
  return least.map((rent) => (rent === Infinity ? 0 : rent));
}

function groupsOf(
  input: PlanInput,
  drafts: readonly GroupDraft[],
  offers: readonly ProblemOffer[],
  references: readonly number[],
): readonly OfferGroup[] {
  const offerIndexes: number[][] = drafts.map(() => []);
  for (const [index, { groupIndex }] of offers.entries()) offerIndexes[groupIndex]?.push(index);
  return drafts.map(({ classIndexes, members }, groupIndex) => {
    const offer = members[0]?.candidate.offer;
    const resources = offer?.resources ?? { gpuCount: 0, cpuMilli: 0, memoryMiB: 0 };
    const room = roomOf(resources);
    const demands = classIndexes.flatMap((index) => input.classes[index] ?? []);
    return {
      resources,
      offerIndexes: offerIndexes[groupIndex] ?? [],
      classIndexes,
      fits: demands.map(({ needs }) => fitCount(room, resourcesOf(needs))),
      costs: demands.map((demand, position) => {
        const referenceUsd = references[classIndexes[position] ?? -1] ?? 0;
        return containerCosts({ demand, offer, referenceUsd, policy: input.policy });
      }),
    };
  });
}

function classesOf(
  input: PlanInput,
  groups: readonly OfferGroup[],
  offers: readonly ProblemOffer[],
): readonly ProblemClass[] {
  const places: { groupIndex: number; position: number }[][] = input.classes.map(() => []);
  const holdable = input.classes.map(() => 0);
  for (const [groupIndex, { classIndexes, offerIndexes, fits: fitsOf }] of groups.entries()) {
    const nodes = offerIndexes.reduce((sum, index) => sum + (offers[index]?.countMax ?? 0), 0);
    for (const [position, classIndex] of classIndexes.entries()) {
      places[classIndex]?.push({ groupIndex, position });
      holdable[classIndex] = (holdable[classIndex] ?? 0) + nodes * (fitsOf[position] ?? 0);
    }
  }
  return input.classes.map((demand, index) => {
    const most = holdable[index] ?? 0;
    const quantities = input.scenarios.map(({ quantity }) => quantity[demand.classId] ?? 0);
    return {
      demand,
      needs: resourcesOf(demand.needs),
      unmetUsd: usdFromMicroUsd(demand.unmetMicroUsdPerHour),
      wanted: quantities.map((quantity) => Math.min(quantity, most)),
      excess: quantities.map((quantity) => Math.max(0, quantity - most)),
      places: places[index] ?? [],
    };
  });
}

function ruledOutOf(input: PlanInput, market: readonly MarketEntry[]): readonly RuledOutNodes[] {
  return market.flatMap(({ offer, present }) => {
    const reason = present > 0 ? policyObstacle(offer, input.policy) : undefined;
    return reason === undefined ? [] : [{ offer, count: present, reason }];
  });
}

/** Committed nodes are paid for also when policy forbids to use them. */
function committedUsdOf(market: readonly MarketEntry[]): number {
  return market.reduce(
    (sum, { offer, countMax }) =>
      offer.purchase === "reserved"
        ? sum + countMax * usdFromMicroUsd(offer.priceMicroUsdPerHour)
        : sum,
    0,
  );
}

function excessUsdOf(input: PlanInput, classes: readonly ProblemClass[]): number {
  let sum = 0;
  for (const { excess, unmetUsd } of classes) {
    for (const [index, scenario] of input.scenarios.entries()) {
      sum += scenario.probability * (excess[index] ?? 0) * unmetUsd;
    }
  }
  return sum;
}
