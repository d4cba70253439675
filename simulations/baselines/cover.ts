/**
 * Machines for containers, the cheapest first: what an ordinary cluster autoscaler does.
 *
 * Containers are laid on the present machines, cheapest ones first, so that the dearest run
 * empty. What finds no room gets new machines: of the offers that may serve it the one with the
 * least price per container that it would hold, up to what can be had, then the next one.
 */
import type { ContainerNeeds, Offer, OptimizerPolicy, Resources } from "../../core/index.ts";
import { resourcesOf } from "../../core/index.ts";
import {
  fitCount,
  mayServe,
  placeFirstFit,
  roomOf,
  type NodeStack,
} from "../../optimizer/index.ts";
import type { OfferFleet } from "../capacity-policy.ts";
import type { WantedContainers } from "./wanted.ts";

/** Machines, and the containers on each. */
export interface Cover {
  /** Offers that stacks name by index. */
  readonly offers: readonly Offer[];
  /** Containers are keyed by the index of their kind among those wanted. */
  readonly stacks: readonly NodeStack[];
  /** Containers that no offer has room for. */
  readonly unmet: number;
}

export interface CoverInput {
  readonly wanted: readonly WantedContainers[];
  /** What may be rented now. */
  readonly offers: readonly Offer[];
  readonly fleet: readonly OfferFleet[];
  readonly policy: OptimizerPolicy;
}

/** Lays containers on the present machines and on new ones. Deterministic. */
export function cover({ wanted, offers, fleet, policy }: CoverInput): Cover {
  const known = [...fleet].sort(
    (a, b) => perGpu(a.offer) - perGpu(b.offer) || order(a.offer, b.offer),
  );
  const all = [...known.map(({ offer }) => offer)];
  let stacks: readonly NodeStack[] = known.map(({ offer, nodeCount }, offerIndex) =>
    emptyNodes(offer, offerIndex, nodeCount),
  );
  let unmet = 0;
  const left = new Map(offers.map(({ offerId, nodeCountMax }) => [offerId, nodeCountMax]));
  for (const { offer, nodeCount } of fleet) {
    left.set(offer.offerId, Math.max(0, (left.get(offer.offerId) ?? 0) - nodeCount));
  }
  for (const [classIndex, { needs, count }] of wanted.entries()) {
    const mayUse = (offerIndex: number): boolean => isServed(all[offerIndex], needs, policy);
    const what = { classIndex, needs: resourcesOf(needs), mayUse };
    let placed = placeFirstFit(stacks, { ...what, quantity: count });
    const choices = choicesFor(offers, needs, policy);
    while (placed.leftover > 0) {
      const choice = cheapestChoice(choices, placed.leftover, left);
      if (choice === undefined) break;
      const { offer, nodeCount } = choice;
      left.set(offer.offerId, (left.get(offer.offerId) ?? 0) - nodeCount);
      all.push(offer);
      const added = [...placed.stacks, emptyNodes(offer, all.length - 1, nodeCount)];
      placed = placeFirstFit(added, { ...what, quantity: placed.leftover });
    }
    ({ stacks } = placed);
    unmet += placed.leftover;
  }
  return { offers: all, stacks, unmet };
}

/** Nodes by offer that hold at least one container. */
export function usedNodes({ offers, stacks }: Cover): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { offerIndex, nodeCount, containers } of stacks) {
    const offerId = offers[offerIndex]?.offerId;
    if (offerId === undefined || containers.size === 0) continue;
    counts.set(offerId, (counts.get(offerId) ?? 0) + nodeCount);
  }
  return counts;
}

/** An offer that may serve some containers, and how many of them one node holds. */
export interface Choice {
  readonly offer: Offer;
  readonly perNode: number;
}

/** The offers that may serve containers. */
export function choicesFor(
  offers: readonly Offer[],
  needs: ContainerNeeds,
  policy: OptimizerPolicy,
): readonly Choice[] {
  const resources: Resources = resourcesOf(needs);
  return offers.flatMap((offer) =>
    mayServe(offer, needs, policy)
      ? [{ offer, perNode: fitCount(roomOf(offer.resources), resources) }]
      : [],
  );
}

/** Stable order of offers. */
export function order(a: Offer, b: Offer): number {
  return a.offerId < b.offerId ? -1 : 1;
}

function cheapestChoice(
  choices: readonly Choice[],
  count: number,
  left: ReadonlyMap<string, number>,
): { readonly offer: Offer; readonly nodeCount: number } | undefined {
  let best: Choice | undefined;
  let bestPrice = Infinity;
  for (const choice of choices) {
    const { offer, perNode } = choice;
    if ((left.get(offer.offerId) ?? 0) < 1) continue;
    const price = offer.priceMicroUsdPerHour / Math.min(perNode, count);
    if (
      best !== undefined &&
      (price > bestPrice || (price === bestPrice && order(best.offer, offer) < 0))
    ) {
      continue;
    }
    best = choice;
    bestPrice = price;
  }
  if (best === undefined) return undefined;
  const nodeCount = Math.max(1, Math.floor(count / best.perNode));
  return { offer: best.offer, nodeCount: Math.min(nodeCount, left.get(best.offer.offerId) ?? 0) };
}

function emptyNodes(offer: Offer, offerIndex: number, nodeCount: number): NodeStack {
  return { offerIndex, nodeCount, room: roomOf(offer.resources), containers: new Map() };
}

function isServed(
  offer: Offer | undefined,
  needs: ContainerNeeds,
  policy: OptimizerPolicy,
): boolean {
  return offer !== undefined && mayServe(offer, needs, policy);
}

function perGpu({ priceMicroUsdPerHour, resources }: Offer): number {
  return priceMicroUsdPerHour / Math.max(1, resources.gpuCount);
}
