/**
 * Which offers may serve which class, and if none may, the first rule that says so.
 *
 * A container sits on one node, so an offer is large enough only if one whole node of it has
 * room for one container in every resource.
 */
import {
  resourcesOf,
  type ContainerNeeds,
  type Offer,
  type OptimizerPolicy,
} from "../core/index.ts";
import { fitCount, roomOf, type NodeRoom } from "./packing.ts";
import { describeNeeds } from "./wording.ts";

/** Why policy forbids an offer to everybody; undefined when it is allowed. */
export function policyObstacle(offer: Offer, policy: OptimizerPolicy): string | undefined {
  if (policy.clouds && !policy.clouds.includes(offer.cloud)) {
    return `policy allows only the clouds ${policy.clouds.join(", ") || "(none)"}`;
  }
  if (policy.regions && !policy.regions.includes(offer.region)) {
    return `policy allows only the regions ${policy.regions.join(", ") || "(none)"}`;
  }
  if (offer.purchase === "spot" && !policy.spotAllowed) return "policy allows no spot";
  return undefined;
}

/** Whether containers with these needs may run on nodes of this offer. */
export function mayServe(offer: Offer, needs: ContainerNeeds, policy: OptimizerPolicy): boolean {
  return mayServeThere(offer, needs, policy) && fitsOnNode(roomOf(offer.resources), needs);
}

/** The same but for the size of the node: only its GPU type, place and purchase option matter. */
export function mayServeThere(
  offer: Offer,
  needs: ContainerNeeds,
  policy: OptimizerPolicy,
): boolean {
  return PLACE_RULES.every((rule) => rule.admits(offer, needs, policy));
}

/** Whether one container fits on an empty node. */
export function fitsOnNode(room: NodeRoom, needs: ContainerNeeds): boolean {
  return fitCount(room, resourcesOf(needs)) >= 1;
}

/**
 * Names the rule after which no offer is left for these needs; undefined when some offer is.
 * The rules are asked in a fixed order, hardest to change first.
 */
export function missingSupply(
  offers: readonly Offer[],
  needs: ContainerNeeds,
  policy: OptimizerPolicy,
): string | undefined {
  if (offers.length === 0) return "no offers are listed";
  let left = offers;
  for (const rule of RULES) {
    const admitted = left.filter((offer) => rule.admits(offer, needs, policy));
    if (admitted.length === 0) return rule.emptied(needs, policy, left);
    left = admitted;
  }
  return undefined;
}

interface Rule {
  readonly admits: (offer: Offer, needs: ContainerNeeds, policy: OptimizerPolicy) => boolean;
  /** What to tell people when no offer of `before` was admitted. */
  readonly emptied: (
    needs: ContainerNeeds,
    policy: OptimizerPolicy,
    before: readonly Offer[],
  ) => string;
}

const GPU_RULE: Rule = {
  admits: (offer, needs) =>
    needs.gpu === undefined ||
    (offer.gpuType !== undefined && needs.gpu.types.includes(offer.gpuType)),
  emptied: (needs) => `no offer has GPU ${needs.gpu?.types.join(" or ") ?? ""}`,
};

const SIZE_RULE: Rule = {
  admits: (offer, needs) => fitsOnNode(roomOf(offer.resources), needs),
  emptied: (needs, _policy, before) =>
    `too small: no single machine among ${before.length} offers holds ${describeNeeds(needs)} ` +
    `with ${needs.cpuMilli / 1_000} vCPU and ${needs.memoryMiB} MiB`,
};

const MARKET_RULES: readonly Rule[] = [
  {
    admits: (offer, _needs, policy) => policy.clouds?.includes(offer.cloud) ?? true,
    emptied: (_needs, policy, before) =>
      `cloud rule: policy allows ${list(policy.clouds)}, offered in ${clouds(before)}`,
  },
  {
    admits: (offer, needs) => needs.clouds?.includes(offer.cloud) ?? true,
    emptied: (needs, _policy, before) =>
      `cloud rule: the function allows ${list(needs.clouds)}, offered in ${clouds(before)}`,
  },
  {
    admits: (offer, _needs, policy) => policy.regions?.includes(offer.region) ?? true,
    emptied: (_needs, policy, before) =>
      `region rule: policy allows ${list(policy.regions)}, offered in ${regions(before)}`,
  },
  {
    admits: (offer, needs) => needs.regions?.includes(offer.region) ?? true,
    emptied: (needs, _policy, before) =>
      `region rule: the function allows ${list(needs.regions)}, offered in ${regions(before)}`,
  },
  {
    admits: (offer, needs, policy) =>
      offer.purchase !== "spot" || (policy.spotAllowed && needs.preemptible),
    emptied: (_needs, policy) =>
      policy.spotAllowed
        ? "spot rule: only spot is offered and the function is not preemptible"
        : "spot rule: only spot is offered and policy allows none",
  },
];

const PLACE_RULES: readonly Rule[] = [GPU_RULE, ...MARKET_RULES];
const RULES: readonly Rule[] = [GPU_RULE, SIZE_RULE, ...MARKET_RULES];

const LISTED_MAX = 5;

function list(names: readonly string[] | undefined): string {
  if (!names || names.length === 0) return "(none)";
  const shown = names.slice(0, LISTED_MAX).join(", ");
  return names.length > LISTED_MAX ? `${shown} and ${names.length - LISTED_MAX} more` : shown;
}

function clouds(offers: readonly Offer[]): string {
  return list([...new Set(offers.map((offer) => offer.cloud))].sort());
}

function regions(offers: readonly Offer[]): string {
  return list([...new Set(offers.map((offer) => offer.region))].sort());
}
