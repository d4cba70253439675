/** Says in words why a line is as it is, and which constraint leaves demand unmet. */
import { assert, resourcesOf, usdFromMicroUsd, type Offer } from "../core/index.ts";
import { nodesToSpare, type Candidate } from "./candidate.ts";
import { mayServe, missingSupply } from "./eligibility.ts";
import { fitCount, roomOf } from "./packing.ts";
import type { NextBest, UnmetDemand } from "./plan.ts";
import type { Problem } from "./presolve.ts";
import { counted, describeNeeds, describeOffer, usdPerHour } from "./wording.ts";

/** Why an offer has its nodes, and the best offer that was passed over. */
export interface LineExplanation {
  readonly reason: string;
  readonly nextBest?: NextBest;
}

/**
 * Explains one line of a plan.
 *
 * @param keptFraction Set when the fleet was kept because moving saved only this share.
 */
export function explainLine(
  problem: Problem,
  candidate: Candidate,
  offerIndex: number,
  keptFraction: number | undefined,
): LineExplanation {
  const entry = problem.offers[offerIndex];
  assert(entry !== undefined, `no offer ${offerIndex}`);
  const released = entry.present - (candidate.counts[offerIndex] ?? 0);
  const kept =
    keptFraction !== undefined && entry.present > 0 ? [keptText(problem, keptFraction)] : [];
  const served = mainClass(problem, candidate, offerIndex);
  if (served) {
    const choice = explainChoice(problem, entry.offer, served);
    const partly = released > 0 ? [`${released} of ${entry.present} released`] : [];
    return { ...choice, reason: [choice.reason, ...partly, ...kept].join("; ") };
  }
  return released > 0
    ? { reason: `released: no demand needs ${counted(released, "node")} of it` }
    : { reason: ["idle: no demand needs it now", ...kept].join("; ") };
}

/** Why this offer serves that class: its rank among all that could, and the next one. */
function explainChoice(problem: Problem, offer: Offer, served: ServedClass): LineExplanation {
  const ranking = rankOffers(problem, served.classIndex);
  const rank = ranking.findIndex((ranked) => ranked.offer.offerId === offer.offerId);
  const next = ranking[rank === 0 ? 1 : 0]?.offer;
  const reason =
    `${rankText(rank)} of ${counted(ranking.length, "offer")} with ${served.needsText}` +
    ` for ${counted(served.quantity, "container")}: ${priceText(offer)}`;
  if (!next) return { reason };
  return {
    reason: `${reason}; ${nextText(rank, next, offer)}`,
    nextBest: { offerId: next.offerId, priceMicroUsdPerHour: next.priceMicroUsdPerHour },
  };
}

/** Every class and scenario that is left unserved, with the binding constraint; in id order. */
export function explainUnmet(problem: Problem, candidate: Candidate): readonly UnmetDemand[] {
  const { scenarios } = problem.input;
  return problem.classes.flatMap(({ demand }, classIndex) =>
    scenarios.flatMap(({ scenarioId }, scenarioIndex) => {
      const quantity = candidate.unmet[classIndex]?.[scenarioIndex] ?? 0;
      if (quantity === 0) return [];
      const reason = bindingConstraint(problem, candidate, classIndex);
      return [{ classId: demand.classId, scenarioId, quantity, reason }];
    }),
  );
}

function keptText(problem: Problem, savedFraction: number): string {
  const saved = (savedFraction * 100).toFixed(1);
  const least = (problem.input.policy.hysteresisFraction * 100).toFixed(1);
  return `kept: moving would save only ${saved} %, less than ${least} %`;
}

interface ServedClass {
  readonly classIndex: number;
  /** Most containers of it in any scenario. */
  readonly quantity: number;
  readonly needsText: string;
}

/** The class of which an offer's nodes hold most. */
function mainClass(
  problem: Problem,
  { stacks }: Candidate,
  offerIndex: number,
): ServedClass | undefined {
  const most = new Map<number, number>();
  for (const scenario of stacks) {
    const held = new Map<number, number>();
    for (const stack of scenario) {
      if (stack.offerIndex !== offerIndex) continue;
      for (const [classIndex, quantity] of stack.containers) {
        held.set(classIndex, (held.get(classIndex) ?? 0) + quantity * stack.nodeCount);
      }
    }
    for (const [classIndex, quantity] of held) {
      most.set(classIndex, Math.max(quantity, most.get(classIndex) ?? 0));
    }
  }
  const [largest] = [...most].sort(([a, x], [b, y]) => y - x || a - b);
  const needs = largest ? problem.classes[largest[0]]?.demand.needs : undefined;
  if (!largest || !needs) return undefined;
  return { classIndex: largest[0], quantity: largest[1], needsText: describeNeeds(needs) };
}

interface RankedOffer {
  readonly offer: Offer;
  readonly usdPerContainer: number;
}

/** All listed offers that may serve a class, cheapest per container on a full node first. */
function rankOffers(problem: Problem, classIndex: number): readonly RankedOffer[] {
  const { input } = problem;
  const needs = problem.classes[classIndex]?.demand.needs;
  if (!needs) return [];
  const interruptionUsd = usdFromMicroUsd(input.policy.interruptionMicroUsd);
  const listed = new Set(input.offers.map((offer) => offer.offerId));
  const unlisted = problem.offers.flatMap(({ offer }) =>
    listed.has(offer.offerId) ? [] : [offer],
  );
  return [...input.offers, ...unlisted]
    .filter((offer) => mayServe(offer, needs, input.policy))
    .map((offer) => {
      const usd =
        usdFromMicroUsd(offer.priceMicroUsdPerHour) +
        offer.reclaimFractionPerHour * interruptionUsd;
      return {
        offer,
        usdPerContainer: usd / fitCount(roomOf(offer.resources), resourcesOf(needs)),
      };
    })
    .sort((a, b) => a.usdPerContainer - b.usdPerContainer);
}

function rankText(rank: number): string {
  return rank <= 0 ? "cheapest" : `number ${rank + 1} by price per container`;
}

function priceText(offer: Offer): string {
  const { gpuCount } = offer.resources;
  return gpuCount > 0
    ? `${usdPerHour(offer.priceMicroUsdPerHour / gpuCount)} per GPU`
    : usdPerHour(offer.priceMicroUsdPerHour);
}

function nextText(rank: number, next: Offer, own: Offer): string {
  const what = rank <= 0 ? "next best" : "cheaper per container when full";
  const single = next.resources.gpuCount <= 1 && own.resources.gpuCount <= 1;
  const price = single ? usdPerHour(next.priceMicroUsdPerHour) : priceText(next);
  return `${what} ${describeOffer(next)} at ${price}`;
}

/** The constraint without which at least one more container of the class would be served. */
function bindingConstraint(problem: Problem, candidate: Candidate, classIndex: number): string {
  const demandClass = problem.classes[classIndex];
  assert(demandClass !== undefined, `no class ${classIndex}`);
  const { input } = problem;
  const known = [...input.offers, ...input.fleet.flatMap(({ offer }) => (offer ? [offer] : []))];
  const missing = missingSupply(known, demandClass.demand.needs, input.policy);
  if (missing !== undefined) return missing;
  const offerIndexes = demandClass.groupIndexes.flatMap(
    (groupIndex) => problem.groups[groupIndex]?.offerIndexes ?? [],
  );
  const open = offerIndexes.filter((index) => nodesToSpare(problem, candidate.counts, index) > 0);
  if (open.length > 0) return priceReason(problem, classIndex, open);
  return limitReason(problem, candidate.counts, offerIndexes);
}

function priceReason(problem: Problem, classIndex: number, open: readonly number[]): string {
  const demandClass = problem.classes[classIndex];
  const costs = open.map((index) => {
    const entry = problem.offers[index];
    const group = problem.groups[entry?.groupIndex ?? -1];
    const fit = group?.fits[group.classIndexes.indexOf(classIndex)] ?? 1;
    return entry ? (entry.rentUsd + entry.reclaimUsd) / Math.max(1, fit) : Infinity;
  });
  const least = `$${Math.min(...costs).toFixed(2)}/h`;
  const unmet = `$${(demandClass?.unmetUsd ?? 0).toFixed(2)}/h`;
  return `price: serving one more costs at least ${least} a container, leaving it unmet ${unmet} times its probability`;
}

function limitReason(
  problem: Problem,
  counts: readonly number[],
  offerIndexes: readonly number[],
): string {
  const full = problem.quotas.filter(
    ({ limit, offerIndexes: under }) =>
      under.reduce((sum, index) => sum + (counts[index] ?? 0), 0) >= limit &&
      under.some((index) => offerIndexes.includes(index) && hasCapacity(problem, counts, index)),
  );
  const underFull = (index: number): boolean =>
    full.some((quota) => quota.offerIndexes.includes(index));
  const stopped = offerIndexes.some(
    (index) => hasCapacity(problem, counts, index) && !underFull(index),
  );
  const reasons = [
    ...full.map(({ quotaGroup, limit }) => `quota ${quotaGroup} (${counted(limit, "node")})`),
    ...(stopped ? [`budget of $${(problem.budgetUsd ?? 0).toFixed(2)}/h`] : []),
  ];
  if (reasons.length > 0) return reasons.join("; ");
  const nodes = offerIndexes.reduce(
    (sum, index) => sum + (problem.offers[index]?.countMax ?? 0),
    0,
  );
  return `offer capacity: the offers that suit it have ${counted(nodes, "node")} in all`;
}

function hasCapacity(problem: Problem, counts: readonly number[], index: number): boolean {
  return (counts[index] ?? 0) < (problem.offers[index]?.countMax ?? 0);
}
