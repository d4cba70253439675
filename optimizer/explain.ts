/** Says in words why a line is as it is, and which constraint leaves demand unmet. */
import { assert, type Offer } from "../core/index.ts";
import type { Candidate } from "./candidate.ts";
import { missingSupply } from "./eligibility.ts";
import { Headroom } from "./headroom.ts";
import type { NodeStack } from "./packing.ts";
import type { NextBest, UnmetDemand } from "./plan.ts";
import type { Problem } from "./problem.ts";
import { Ranking } from "./ranking.ts";
import { counted, describeNeeds, usdPerHour } from "./wording.ts";

/** Why an offer has its nodes, and the best offer that was passed over. */
export interface LineExplanation {
  readonly reason: string;
  readonly nextBest?: NextBest;
}

/** Explains the lines of one plan. Cost: see `Ranking`. */
export class LineExplainer {
  readonly #problem: Problem;
  readonly #candidate: Candidate;
  readonly #keptFraction: number | undefined;
  readonly #headroom: Headroom;
  readonly #served: ReadonlyMap<number, ServedClass>;
  readonly #ranking: Ranking;

  /** @param keptFraction Set when the fleet was kept because moving saved only this share. */
  constructor(problem: Problem, candidate: Candidate, keptFraction: number | undefined) {
    this.#problem = problem;
    this.#candidate = candidate;
    this.#keptFraction = keptFraction;
    this.#headroom = new Headroom(problem, candidate.counts);
    this.#served = mainClasses(problem, candidate);
    this.#ranking = new Ranking(problem);
  }

  /** Why an offer has its nodes, or loses them. */
  explain(offerIndex: number): LineExplanation {
    const entry = this.#problem.offers[offerIndex];
    assert(entry !== undefined, `no offer ${offerIndex}`);
    const released = entry.present - (this.#candidate.counts[offerIndex] ?? 0);
    const kept = entry.present > 0 ? this.#keptText() : [];
    const served = this.#served.get(offerIndex);
    if (served) {
      const choice = this.#explainChoice(entry.offer, served);
      const partly = released > 0 ? [`${released} of ${entry.present} released`] : [];
      return { ...choice, reason: [choice.reason, ...partly, ...kept].join("; ") };
    }
    return released > 0
      ? { reason: `released: no demand needs ${counted(released, "node")} of it` }
      : { reason: ["idle: no demand needs it now", ...kept].join("; ") };
  }

  /** Why this offer serves that class: its rank among all that could, and the next one. */
  #explainChoice(offer: Offer, served: ServedClass): LineExplanation {
    const { quantity, needsText } = served;
    const { cheaperCount, offerCount, nextBest } = this.#ranking.standingOf(offer, served, (id) =>
      this.#isOpen(id),
    );
    const reason =
      `${rankText(cheaperCount)} of ${counted(offerCount, "offer")} for ` +
      `${counted(quantity, "container")} with ${needsText}: ${priceText(offer)}`;
    if (!nextBest) return { reason };
    const { offerId, priceMicroUsdPerHour } = nextBest;
    return { reason, nextBest: { offerId, priceMicroUsdPerHour } };
  }

  /** Whether nodes of an offer that the plan does not use could be had. */
  #isOpen(offerId: string): boolean {
    const index = this.#indexOf.get(offerId);
    if (index === undefined) return true;
    return (this.#candidate.counts[index] ?? 0) === 0 && this.#headroom.spare(index) > 0;
  }

  get #indexOf(): ReadonlyMap<string, number> {
    this.#indexes ??= new Map(
      this.#problem.offers.map(({ offer }, index) => [offer.offerId, index]),
    );
    return this.#indexes;
  }
  #indexes: ReadonlyMap<string, number> | undefined;

  #keptText(): readonly string[] {
    if (this.#keptFraction === undefined) return [];
    const saved = (this.#keptFraction * 100).toFixed(1);
    const least = (this.#problem.input.policy.hysteresisFraction * 100).toFixed(1);
    return [`kept: moving would save only ${saved} %, less than ${least} %`];
  }
}

/** Every class and scenario that is left unserved, with the binding constraint; in id order. */
export function explainUnmet(problem: Problem, candidate: Candidate): readonly UnmetDemand[] {
  const { scenarios } = problem.input;
  const headroom = new Headroom(problem, candidate.counts);
  const reasons = new Map<number, string>();
  const reasonOf = (classIndex: number): string => {
    const reason = reasons.get(classIndex) ?? bindingConstraint(problem, headroom, classIndex);
    reasons.set(classIndex, reason);
    return reason;
  };
  return problem.classes.flatMap(({ demand }, classIndex) =>
    scenarios.flatMap(({ scenarioId }, scenarioIndex) => {
      const quantity = candidate.unmet[classIndex]?.[scenarioIndex] ?? 0;
      if (quantity === 0) return [];
      return [{ classId: demand.classId, scenarioId, quantity, reason: reasonOf(classIndex) }];
    }),
  );
}

interface ServedClass {
  readonly classIndex: number;
  /** Most containers of it in any scenario. */
  readonly quantity: number;
  readonly needsText: string;
}

/** By offer, the class of which its nodes hold most in any scenario. */
function mainClasses(problem: Problem, { stacks }: Candidate): ReadonlyMap<number, ServedClass> {
  const most = new Map<number, Map<number, number>>();
  for (const scenario of stacks) {
    for (const [offerIndex, own] of heldByOffer(scenario)) {
      const before = most.get(offerIndex) ?? new Map<number, number>();
      for (const [classIndex, quantity] of own) {
        before.set(classIndex, Math.max(quantity, before.get(classIndex) ?? 0));
      }
      most.set(offerIndex, before);
    }
  }
  const main = new Map<number, ServedClass>();
  for (const [offerIndex, own] of most) {
    const [largest] = [...own].sort(([a, x], [b, y]) => y - x || a - b);
    const needs = largest ? problem.classes[largest[0]]?.demand.needs : undefined;
    if (!largest || !needs) continue;
    const [classIndex, quantity] = largest;
    main.set(offerIndex, { classIndex, quantity, needsText: describeNeeds(needs) });
  }
  return main;
}

/** Containers by offer and class in one scenario. */
function heldByOffer(stacks: readonly NodeStack[]): ReadonlyMap<number, Map<number, number>> {
  const held = new Map<number, Map<number, number>>();
  for (const { offerIndex, nodeCount, containers } of stacks) {
    const own = held.get(offerIndex) ?? new Map<number, number>();
    for (const [classIndex, quantity] of containers) {
      own.set(classIndex, (own.get(classIndex) ?? 0) + quantity * nodeCount);
    }
    held.set(offerIndex, own);
  }
  return held;
}

function rankText(rank: number): string {
  return rank <= 0 ? "cheapest" : `number ${rank + 1} by price`;
}

function priceText(offer: Offer): string {
  const { gpuCount } = offer.resources;
  return gpuCount > 0
    ? `${usdPerHour(offer.priceMicroUsdPerHour / gpuCount)} per GPU`
    : usdPerHour(offer.priceMicroUsdPerHour);
}

/** The constraint without which at least one more container of the class would be served. */
function bindingConstraint(problem: Problem, headroom: Headroom, classIndex: number): string {
  const demandClass = problem.classes[classIndex];
  assert(demandClass !== undefined, `no class ${classIndex}`);
  if (demandClass.places.length === 0) {
    const { input } = problem;
    const known = [...input.offers, ...input.fleet.flatMap(({ offer }) => (offer ? [offer] : []))];
    const missing = missingSupply(known, demandClass.demand.needs, input.policy);
    if (missing !== undefined) return missing;
  }
  const offerIndexes = demandClass.places.flatMap(
    ({ groupIndex }) => problem.groups[groupIndex]?.offerIndexes ?? [],
  );
  const open = offerIndexes.filter((index) => headroom.spare(index) > 0);
  if (open.length > 0) return priceReason(problem, classIndex, open);
  return limitReason(problem, headroom, offerIndexes);
}

function priceReason(problem: Problem, classIndex: number, open: readonly number[]): string {
  const demandClass = problem.classes[classIndex];
  const costs = open.map((index) => {
    const entry = problem.offers[index];
    const group = problem.groups[entry?.groupIndex ?? -1];
    const fit = group?.fits[group.classIndexes.indexOf(classIndex)] ?? 1;
    return entry ? (entry.rentUsd + entry.reclaimUsd) / Math.max(1, fit) : Infinity;
  });
  const least = dollarsPerHour(costs.reduce((a, b) => Math.min(a, b), Infinity));
  const unmet = dollarsPerHour(demandClass?.unmetUsd ?? 0);
  return `price: serving one more costs at least ${least} a container, leaving it unmet ${unmet} times its probability`;
}

function limitReason(
  problem: Problem,
  headroom: Headroom,
  offerIndexes: readonly number[],
): string {
  const suited = offerIndexes.filter((index) => hasCapacity(problem, headroom.counts, index));
  const full = problem.quotas.filter(
    ({ limit, offerIndexes: under }) =>
      under.reduce((sum, index) => sum + (headroom.counts[index] ?? 0), 0) >= limit &&
      under.some((index) => suited.includes(index)),
  );
  const stopped = suited.filter(
    (index) => !full.some((quota) => quota.offerIndexes.includes(index)),
  );
  const isDear = stopped.some((index) => !headroom.affords(index));
  const shares = new Set(stopped.flatMap((index) => headroom.sharesAgainst(index)));
  const reasons = [
    ...full.map(({ quotaGroup, limit }) => `quota ${quotaGroup} (${counted(limit, "node")})`),
    ...(isDear ? [`budget of ${dollarsPerHour(budgetUsdOf(problem))}`] : []),
    ...[...shares].map((name) => `share rule for ${name}`),
  ];
  if (reasons.length > 0) return reasons.join("; ");
  const nodes = offerIndexes.reduce(
    (sum, index) => sum + (problem.offers[index]?.countMax ?? 0),
    0,
  );
  return `offer capacity: the offers that suit it have ${counted(nodes, "node")} in all`;
}

function budgetUsdOf(problem: Problem): number {
  return (problem.budgetUsd ?? 0) + problem.fixed.committedUsd;
}

function dollarsPerHour(usd: number): string {
  return `$${usd.toFixed(2)}/h`;
}

function hasCapacity(problem: Problem, counts: readonly number[], index: number): boolean {
  return (counts[index] ?? 0) < (problem.offers[index]?.countMax ?? 0);
}
