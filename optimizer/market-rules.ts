/** Limits and prices on parts of the market: quotas, shares, concentration. */
import {
  usdFromMicroUsd,
  type Offer,
  type OptimizerPolicy,
  type ShareRule,
} from "../core/index.ts";
import { isOn } from "./costs.ts";
import type { PlanInput } from "./plan.ts";
import { compareText } from "./read-input.ts";

/** A limit on the number of nodes of some offers. */
export interface QuotaLimit {
  readonly quotaGroup: string;
  readonly limit: number;
  readonly offerIndexes: readonly number[];
}

/** A share of all GPUs that some offers must stay within. */
export interface ShareLimit {
  readonly rule: ShareRule;
  readonly minFraction: number;
  readonly maxFraction: number;
  readonly offerIndexes: readonly number[];
}

/** A price on GPUs of some offers beyond a share of all. */
export interface Concentration {
  /** Such as `region us-east-1`. */
  readonly name: string;
  readonly freeFraction: number;
  readonly usdPerGpu: number;
  readonly offerIndexes: readonly number[];
}

export interface MarketRules {
  readonly quotas: readonly QuotaLimit[];
  readonly shares: readonly ShareLimit[];
  readonly concentrations: readonly Concentration[];
}

interface HasOffer {
  readonly offer: Offer;
}

/** The quotas that any of the offers counts against, by name. */
export function quotasOf(input: PlanInput, offers: readonly HasOffer[]): readonly QuotaLimit[] {
  const under = new Map<string, number[]>();
  for (const [index, { offer }] of offers.entries()) {
    for (const group of new Set(offer.quotaGroups)) {
      const indexes = under.get(group) ?? [];
      indexes.push(index);
      under.set(group, indexes);
    }
  }
  return Object.entries(input.quotaLimits ?? {})
    .flatMap(([quotaGroup, limit]) => {
      const offerIndexes = under.get(quotaGroup);
      return offerIndexes ? [{ quotaGroup, limit, offerIndexes }] : [];
    })
    .sort((a, b) => compareText(a.quotaGroup, b.quotaGroup));
}

/** The share rules, in the policy's order; GPUs of nodes count, nodes without GPUs do not. */
export function sharesOf(
  policy: OptimizerPolicy,
  offers: readonly HasOffer[],
): readonly ShareLimit[] {
  return policy.shares.map((rule) => ({
    rule,
    minFraction: rule.minFraction ?? 0,
    maxFraction: rule.maxFraction ?? 1,
    offerIndexes: offers.flatMap(({ offer }, index) =>
      offer.resources.gpuCount > 0 && offer[rule.of] === rule.name ? [index] : [],
    ),
  }));
}

/** One entry for each cloud, region or zone that a concentration rule is about, by name. */
export function concentrationsOf(
  policy: OptimizerPolicy,
  offers: readonly HasOffer[],
): readonly Concentration[] {
  if (!isOn(policy, "concentration")) return [];
  return policy.concentration.flatMap(({ of, freeFraction, microUsdPerGpuHour }) => {
    const members = new Map<string, number[]>();
    for (const [index, { offer }] of offers.entries()) {
      if (offer.resources.gpuCount === 0) continue;
      const name = partOf(offer, of);
      const indexes = members.get(name) ?? [];
      indexes.push(index);
      members.set(name, indexes);
    }
    const usdPerGpu = usdFromMicroUsd(microUsdPerGpuHour);
    return [...members]
      .map(([name, offerIndexes]) => ({
        name: `${of} ${name}`,
        freeFraction,
        usdPerGpu,
        offerIndexes,
      }))
      .sort((a, b) => compareText(a.name, b.name));
  });
}

/** What GPUs held in one part cost beyond its free share of all, USD/h. */
export function excessUsd(
  { freeFraction, usdPerGpu }: Concentration,
  heldGpus: number,
  allGpus: number,
): number {
  return usdPerGpu * Math.max(0, heldGpus - freeFraction * allGpus);
}

/** The cloud, region or zone of an offer; regions and zones are told apart by cloud. */
export function partOf(offer: Offer, of: "cloud" | "region" | "zone"): string {
  if (of === "cloud") return offer.cloud;
  const region = `${offer.cloud}/${offer.region}`;
  return of === "region" ? region : `${region}/${offer.zone ?? "*"}`;
}

/** Equal for offers that no quota and no rule tells apart. */
export function ruleKeyOf(input: PlanInput, offer: Offer): string {
  const limits = input.quotaLimits ?? {};
  const quotas = [...new Set(offer.quotaGroups)]
    .filter((group) => Object.hasOwn(limits, group))
    .sort();
  const { shares, concentration } = input.policy;
  const shared = shares.map(({ of }) => offer[of]);
  const parts = concentration.map(({ of }) => partOf(offer, of));
  // Committed nodes are used first: none of them makes another superfluous.
  const committed = offer.purchase === "reserved" ? "committed" : "";
  return [...quotas, "|", ...shared, "|", ...parts, committed].join(" ");
}

/**
 * One inequality on GPUs: sign x (GPUs inside - fraction x all GPUs) <= 0, or, with a price, what
 * is beyond 0 costs that much a GPU. Programs have one column for all GPUs, so that a rule has
 * entries only for the offers inside.
 */
export interface GpuRule {
  /** Such as `share cloud aws max`; absent for rules with a price. */
  readonly constraint?: string;
  readonly usdPerGpu?: number;
  readonly fraction: number;
  readonly sign: 1 | -1;
  readonly offerIndexes: readonly number[];
}

/** The inequalities of all share and concentration rules that say something. */
export function gpuRulesOf({ shares, concentrations }: MarketRules): readonly GpuRule[] {
  const limits = shares.flatMap(({ rule, minFraction, maxFraction, offerIndexes }) => {
    const name = `share ${rule.of} ${rule.name}`;
    const rules: GpuRule[] = [];
    if (maxFraction < 1) {
      rules.push({ constraint: `${name} max`, fraction: maxFraction, sign: 1, offerIndexes });
    }
    if (minFraction > 0) {
      rules.push({ constraint: `${name} min`, fraction: minFraction, sign: -1, offerIndexes });
    }
    return rules;
  });
  const prices = concentrations.map(({ freeFraction, usdPerGpu, offerIndexes }): GpuRule => ({
    usdPerGpu,
    fraction: freeFraction,
    sign: 1,
    offerIndexes,
  }));
  return [...limits, ...prices];
}
