/** What nodes and containers cost, term by term, USD per hour. */
import {
  MS_PER_HOUR,
  usdFromMicroUsd,
  type DemandClass,
  type Offer,
  type OptimizerPolicy,
  type OptionalTerm,
  type Resources,
} from "../core/index.ts";

/** Of one node. */
export interface NodeCosts {
  /** 0 for committed nodes: they are paid for whatever the plan. */
  readonly rentUsd: number;
  readonly reclaimUsd: number;
  readonly launchUsd: number;
  readonly releaseUsd: number;
}

/**
 * What one node of an offer costs.
 *
 * `reclaim` = reclaims an hour x price of one. `launch` = price of a launch / (1 - share of
 * launches that fail) / horizon in hours: the launches expected until one succeeds (geometric).
 */
export function nodeCosts(offer: Offer, policy: OptimizerPolicy): NodeCosts {
  const churnUsd = usdFromMicroUsd(policy.churnMicroUsd) / (policy.horizonMs / MS_PER_HOUR);
  const launches = 1 / (1 - (offer.launchFailureFraction ?? 0));
  const hasChurn = isOn(policy, "churn");
  return {
    rentUsd: offer.purchase === "reserved" ? 0 : usdFromMicroUsd(offer.priceMicroUsdPerHour),
    reclaimUsd: isOn(policy, "reclaim")
      ? offer.reclaimFractionPerHour * usdFromMicroUsd(policy.interruptionMicroUsd)
      : 0,
    launchUsd: hasChurn ? churnUsd * launches : 0,
    releaseUsd: hasChurn ? churnUsd : 0,
  };
}

/** Of one container, beyond its share of the node. */
export interface ContainerCosts {
  readonly preferenceUsd: number;
  readonly regionUsd: number;
  readonly egressUsd: number;
  /** The sum. */
  readonly usd: number;
}

/** What a container of a class costs on nodes like `offer`'s; nothing without an offer. */
export function containerCosts(of: {
  readonly demand: DemandClass;
  readonly offer: Offer | undefined;
  /** The least rent of such a container anywhere: what a step of preference is a fraction of. */
  readonly referenceUsd: number;
  readonly policy: OptimizerPolicy;
}): ContainerCosts {
  const { demand, offer, referenceUsd, policy } = of;
  if (!offer) return { preferenceUsd: 0, regionUsd: 0, egressUsd: 0, usd: 0 };
  const types = demand.needs.gpu?.types ?? [];
  const steps = offer.gpuType ? Math.max(0, types.indexOf(offer.gpuType)) : 0;
  const perStepUsd = policy.gpuPreferencePenaltyFraction * referenceUsd;
  const regionMicroUsd = policy.regionMicroUsdPerContainerHour[offer.region] ?? 0;
  const awayGib =
    demand.home && !demand.home.regions.includes(offer.region) ? demand.home.gibPerHour : 0;
  const gibMicroUsd = policy.egressMicroUsdPerGib[offer.cloud] ?? 0;
  const preferenceUsd = isOn(policy, "preference") ? steps * perStepUsd : 0;
  const regionUsd = isOn(policy, "region") ? usdFromMicroUsd(regionMicroUsd) : 0;
  const egressUsd = isOn(policy, "egress") ? awayGib * usdFromMicroUsd(gibMicroUsd) : 0;
  return { preferenceUsd, regionUsd, egressUsd, usd: preferenceUsd + regionUsd + egressUsd };
}

/** Price of a node x the largest share of any of its resources that a container takes. */
export function containerRentUsd(offer: Offer, needs: Resources): number {
  return usdFromMicroUsd(offer.priceMicroUsdPerHour) * largestShare(offer.resources, needs);
}

/** The largest share of any resource of a node that a container takes; 0..1 if it fits. */
export function largestShare(node: Resources, needs: Resources): number {
  const share = (need: number, has: number): number => (need === 0 ? 0 : need / has);
  return Math.max(
    share(needs.gpuCount, node.gpuCount),
    share(needs.cpuMilli, node.cpuMilli),
    share(needs.memoryMiB, node.memoryMiB),
  );
}

/** Whether a term counts. */
export function isOn(policy: OptimizerPolicy, term: OptionalTerm): boolean {
  return !policy.ignoredTerms.includes(term);
}
