/**
 * The problem as it is solved: what can matter, numbered, and no more.
 *
 * Three exact reductions, none of which changes the optimum:
 * - An offer that no class may use is dropped, unless nodes of it are there now.
 * - Offers whose nodes are alike (same resources, GPU type and classes) form one group, and
 *   containers are assigned to groups: x stays per offer, y is per group. A packing on the nodes
 *   of a group is a packing on the nodes of its offers.
 * - In a group, among offers under the same quotas, an offer is dropped once the offers that
 *   cost no more have nodes for every container that could ever come (one container a node).
 *
 * Demand beyond what all nodes together hold is unmet whatever the plan; it is taken out, so
 * that huge demand gives no huge numbers. Shape: all lists are in id order, so equal inputs give
 * equal problems.
 */
import {
  MS_PER_HOUR,
  resourcesOf,
  usdFromMicroUsd,
  type DemandClass,
  type Offer,
  type Resources,
} from "../core/index.ts";
import { mayServe, policyObstacle } from "./eligibility.ts";
import { fitCount, roomOf } from "./packing.ts";
import type { PlanInput, PresentNodes } from "./plan.ts";
import { compareText } from "./read-input.ts";

/** An offer on the table. Money in USD per hour, since it goes to solvers and no ledger. */
export interface ProblemOffer {
  readonly offer: Offer;
  readonly groupIndex: number;
  /** Nodes there are now. */
  readonly present: number;
  /** Most nodes there may be: present ones may always stay. */
  readonly countMax: number;
  readonly rentUsd: number;
  readonly reclaimUsd: number;
}

/** Offers whose nodes are alike. */
export interface OfferGroup {
  readonly resources: Resources;
  readonly offerIndexes: readonly number[];
  /** Classes that may use it, ascending. */
  readonly classIndexes: readonly number[];
  /** Containers of each class that fit on one empty node, aligned with `classIndexes`. */
  readonly fits: readonly number[];
  /** Price of placing one container of each class here, aligned with `classIndexes`. */
  readonly preferenceUsd: readonly number[];
}

/** A class with demand. */
export interface ProblemClass {
  readonly demand: DemandClass;
  readonly needs: Resources;
  readonly unmetUsd: number;
  /** Containers wanted in each scenario, at most what all nodes together hold. */
  readonly wanted: readonly number[];
  /** Demand that was taken out of `wanted`, by scenario. */
  readonly excess: readonly number[];
  /** Groups that may serve it, ascending. */
  readonly groupIndexes: readonly number[];
}

/** A limit on the number of nodes of some offers. */
export interface QuotaLimit {
  readonly quotaGroup: string;
  readonly limit: number;
  readonly offerIndexes: readonly number[];
}

/** Present nodes that may not stay. */
export interface RuledOutNodes {
  readonly offer: Offer;
  readonly count: number;
  readonly reason: string;
}

export interface Problem {
  /** Checked and in id order. */
  readonly input: PlanInput;
  readonly offers: readonly ProblemOffer[];
  readonly groups: readonly OfferGroup[];
  readonly classes: readonly ProblemClass[];
  readonly probabilities: readonly number[];
  readonly quotas: readonly QuotaLimit[];
  readonly budgetUsd: number | undefined;
  /** One launch or release, spread over the horizon. */
  readonly churnUsd: number;
  /** Costs that every plan has: expected price of all `excess`, and the `ruledOut` releases. */
  readonly excessUsd: number;
  readonly ruledOutUsd: number;
  /** Present nodes that policy forbids: they are released. */
  readonly ruledOut: readonly RuledOutNodes[];
  /** Present nodes of which nothing is known but the id: they are kept. */
  readonly unknown: readonly PresentNodes[];
  /** Offers that were looked at. */
  readonly offersConsidered: number;
}

/** Builds the problem. @param input as `readInput` gives it. Cost: offers x classes. */
export function presolve(input: PlanInput): Problem {
  const market = marketOf(input);
  const candidates = candidatesOf(input, market);
  const drafts = groupDrafts(candidates);
  const kept = drafts.map((draft) => ({ ...draft, members: withoutDominated(input, draft) }));
  const order = kept
    .flatMap(({ members }, groupIndex) => members.map((member) => ({ ...member, groupIndex })))
    .sort((a, b) => compareText(a.candidate.offer.offerId, b.candidate.offer.offerId));
  const offers = order.map(({ candidate, groupIndex, countMax }) =>
    problemOffer(input, candidate, groupIndex, countMax),
  );
  const references = referenceRents(input, candidates);
  const groups = kept.map((draft, groupIndex) =>
    toGroup(input, draft, groupIndex, offers, references),
  );
  const churnUsd =
    usdFromMicroUsd(input.policy.churnMicroUsd) / (input.policy.horizonMs / MS_PER_HOUR);
  const ruledOut = market.flatMap(({ offer, present }) => {
    const reason = present > 0 ? policyObstacle(offer, input.policy) : undefined;
    return reason === undefined ? [] : [{ offer, count: present, reason }];
  });
  const classes = input.classes.map((demand, index) =>
    toClass(input, demand, index, groups, offers),
  );
  return {
    input,
    offers,
    groups,
    classes,
    probabilities: input.scenarios.map((scenario) => scenario.probability),
    quotas: quotasOf(input, offers),
    budgetUsd:
      input.policy.budgetMicroUsdPerHourMax === undefined
        ? undefined
        : usdFromMicroUsd(input.policy.budgetMicroUsdPerHourMax),
    churnUsd,
    excessUsd: excessCost(input, classes),
    ruledOutUsd: ruledOut.reduce((sum, { count }) => sum + count * churnUsd, 0),
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

interface Candidate extends MarketEntry {
  /** Classes that may use it, ascending. */
  readonly classIndexes: readonly number[];
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

/** What policy allows and of which there are nodes. */
function candidatesOf(input: PlanInput, market: readonly MarketEntry[]): readonly Candidate[] {
  return market
    .filter(({ offer, countMax }) => countMax > 0 && !policyObstacle(offer, input.policy))
    .map((entry) => ({
      ...entry,
      classIndexes: input.classes.flatMap((demand, index) =>
        mayServe(entry.offer, demand.needs, input.policy) ? [index] : [],
      ),
    }));
}

interface Member {
  readonly candidate: Candidate;
  readonly countMax: number;
}

interface GroupDraft {
  readonly classIndexes: readonly number[];
  readonly candidates: readonly Candidate[];
}

function groupDrafts(candidates: readonly Candidate[]): readonly GroupDraft[] {
  const drafts = new Map<string, { classIndexes: readonly number[]; candidates: Candidate[] }>();
  for (const candidate of candidates) {
    const { offer, classIndexes } = candidate;
    if (classIndexes.length === 0 && candidate.present === 0) continue;
    const { gpuCount, cpuMilli, memoryMiB } = offer.resources;
    const key = JSON.stringify([offer.gpuType, gpuCount, cpuMilli, memoryMiB, classIndexes]);
    const draft = drafts.get(key) ?? { classIndexes, candidates: [] };
    draft.candidates.push(candidate);
    drafts.set(key, draft);
  }
  return [...drafts.values()];
}

/** Keeps the offers of a group that an optimum may need, cheapest first within equal quotas. */
function withoutDominated(input: PlanInput, draft: GroupDraft): readonly Member[] {
  const usable = Math.max(
    0,
    ...input.scenarios.map((scenario) =>
      draft.classIndexes.reduce((sum, index) => {
        const classId = input.classes[index]?.classId ?? "";
        return sum + (scenario.quantity[classId] ?? 0);
      }, 0),
    ),
  );
  const byQuota = Map.groupBy(draft.candidates, ({ offer }) =>
    limitedQuotas(input, offer).join(" "),
  );
  return [...byQuota.values()].flatMap((alike) => cheapestUpTo(input, alike, usable));
}

function cheapestUpTo(
  input: PlanInput,
  alike: readonly Candidate[],
  usable: number,
): readonly Member[] {
  const costOf = ({ offer }: Candidate): number =>
    offer.priceMicroUsdPerHour + offer.reclaimFractionPerHour * input.policy.interruptionMicroUsd;
  const sorted = [...alike].sort(
    (a, b) => costOf(a) - costOf(b) || a.offer.priceMicroUsdPerHour - b.offer.priceMicroUsdPerHour,
  );
  const members: Member[] = [];
  let taken: { readonly priceMax: number; readonly countMax: number }[] = [];
  for (const candidate of sorted) {
    const price = candidate.offer.priceMicroUsdPerHour;
    const cheaper = taken.reduce((sum, t) => sum + (t.priceMax <= price ? t.countMax : 0), 0);
    if (cheaper >= usable && candidate.present === 0) continue;
    const countMax = Math.max(candidate.present, Math.min(candidate.countMax, usable));
    if (countMax === 0) continue;
    members.push({ candidate, countMax });
    taken = [...taken, { priceMax: price, countMax }];
  }
  return members;
}

function limitedQuotas(input: PlanInput, offer: Offer): readonly string[] {
  const limits = input.quotaLimits ?? {};
  return [...new Set(offer.quotaGroups)].filter((group) => Object.hasOwn(limits, group)).sort();
}

function problemOffer(
  input: PlanInput,
  { offer, present }: Candidate,
  groupIndex: number,
  countMax: number,
): ProblemOffer {
  return {
    offer,
    groupIndex,
    present,
    countMax,
    rentUsd: usdFromMicroUsd(offer.priceMicroUsdPerHour),
    reclaimUsd: offer.reclaimFractionPerHour * usdFromMicroUsd(input.policy.interruptionMicroUsd),
  };
}

/**
 * The least rent of one container of each class, USD/h: price x the largest share that it takes
 * of any resource of a node. A step down the list of GPU types costs a fraction of this.
 */
function referenceRents(input: PlanInput, candidates: readonly Candidate[]): readonly number[] {
  const least = input.classes.map(() => Infinity);
  for (const { offer, classIndexes } of candidates) {
    for (const index of classIndexes) {
      const needs = input.classes[index]?.needs;
      const rent = needs ? containerRentUsd(offer, resourcesOf(needs)) : Infinity;
      least[index] = Math.min(least[index] ?? Infinity, rent);
    }
  }
  return least.map((rent) => (rent === Infinity ? 0 : rent));
}

/** Price of a node x the largest share of any of its resources that a container takes. */
export function containerRentUsd(offer: Offer, needs: Resources): number {
  const share = (need: number, has: number): number => (need === 0 ? 0 : need / has);
  const largest = Math.max(
    share(needs.gpuCount, offer.resources.gpuCount),
    share(needs.cpuMilli, offer.resources.cpuMilli),
    share(needs.memoryMiB, offer.resources.memoryMiB),
  );
  return usdFromMicroUsd(offer.priceMicroUsdPerHour) * largest;
}

function toGroup(
  input: PlanInput,
  draft: GroupDraft,
  groupIndex: number,
  offers: readonly ProblemOffer[],
  references: readonly number[],
): OfferGroup {
  const [first] = draft.candidates;
  const resources = first?.offer.resources ?? { gpuCount: 0, cpuMilli: 0, memoryMiB: 0 };
  const needsOf = (index: number) => input.classes[index]?.needs;
  const room = roomOf(resources);
  return {
    resources,
    offerIndexes: offers.flatMap((offer, index) =>
      offer.groupIndex === groupIndex ? [index] : [],
    ),
    classIndexes: draft.classIndexes,
    fits: draft.classIndexes.map((index) => {
      const needs = needsOf(index);
      return needs ? fitCount(room, resourcesOf(needs)) : 0;
    }),
    preferenceUsd: draft.classIndexes.map((index) => {
      const types = needsOf(index)?.gpu?.types ?? [];
      const steps = first?.offer.gpuType ? Math.max(0, types.indexOf(first.offer.gpuType)) : 0;
      return steps * input.policy.gpuPreferencePenaltyFraction * (references[index] ?? 0);
    }),
  };
}

function toClass(
  input: PlanInput,
  demand: DemandClass,
  classIndex: number,
  groups: readonly OfferGroup[],
  offers: readonly ProblemOffer[],
): ProblemClass {
  const groupIndexes = groups.flatMap((group, index) =>
    group.classIndexes.includes(classIndex) ? [index] : [],
  );
  let holdable = 0;
  for (const groupIndex of groupIndexes) {
    const group = groups[groupIndex];
    const fit = group?.fits[group.classIndexes.indexOf(classIndex)] ?? 0;
    for (const offer of group?.offerIndexes ?? []) holdable += fit * (offers[offer]?.countMax ?? 0);
  }
  const quantities = input.scenarios.map((scenario) => scenario.quantity[demand.classId] ?? 0);
  return {
    demand,
    needs: resourcesOf(demand.needs),
    unmetUsd: usdFromMicroUsd(demand.unmetMicroUsdPerHour),
    wanted: quantities.map((quantity) => Math.min(quantity, holdable)),
    excess: quantities.map((quantity) => Math.max(0, quantity - holdable)),
    groupIndexes,
  };
}

function quotasOf(input: PlanInput, offers: readonly ProblemOffer[]): readonly QuotaLimit[] {
  return Object.entries(input.quotaLimits ?? {})
    .map(([quotaGroup, limit]) => ({
      quotaGroup,
      limit,
      offerIndexes: offers.flatMap(({ offer }, index) =>
        offer.quotaGroups.includes(quotaGroup) ? [index] : [],
      ),
    }))
    .filter((quota) => quota.offerIndexes.length > 0)
    .sort((a, b) => compareText(a.quotaGroup, b.quotaGroup));
}

function excessCost(input: PlanInput, classes: readonly ProblemClass[]): number {
  let sum = 0;
  for (const { excess, unmetUsd } of classes) {
    for (const [index, scenario] of input.scenarios.entries()) {
      sum += scenario.probability * (excess[index] ?? 0) * unmetUsd;
    }
  }
  return sum;
}
