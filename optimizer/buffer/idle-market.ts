/** What an idle GPU costs and how long a new one takes, from the cheapest offers that serve. */
import { resourcesOf, type MicroUsd, type Offer, type OptimizerPolicy } from "../../core/index.ts";
import { mayServe } from "../eligibility.ts";
import { fitCount, roomOf } from "../packing.ts";
import { compareText } from "../read-input.ts";
import type { GpuNeeds } from "./sharing.ts";

export interface IdleMarket {
  /** Mean over the GPUs that would be rented next. */
  readonly idleMicroUsdPerGpuHour: MicroUsd;
  /** Until they take work. */
  readonly leadMs: number;
}

/** Boot times scatter by about a fifth of their mean; that late is still usual. */
const BOOT_SCATTER_FRACTION = 0.2;
/** From a change of demand to the rent, and from the agent to a running container. */
const REACTION_MS = 15_000;

/** What is offered, and what policy says of it. */
export interface OfferedMarket {
  readonly offers: readonly Offer[];
  readonly policy: OptimizerPolicy;
}

/** Whether some offer may serve these needs. O(n). */
export function isServed(needs: GpuNeeds, market: OfferedMarket): boolean {
  return market.offers.some((offer) => isOpen(offer, needs, market.policy));
}

/**
 * The market for `gpuCount` idle GPUs with these needs: the offers with the lowest price per
 * GPU-hour that have room for them together.
 *
 * Committed nodes are paid for, used or not, so they count only when nothing else is offered,
 * and then for nothing.
 *
 * @returns undefined when no offer may serve. O(n log n).
 */
export function idleMarket(
  needs: GpuNeeds,
  gpuCount: number,
  { offers, policy }: OfferedMarket,
): IdleMarket | undefined {
  const open = offers.filter((offer) => isOpen(offer, needs, policy));
  const rentable = open.filter((offer) => offer.purchase !== "reserved");
  const priced = (rentable.length > 0 ? rentable : open)
    .map((offer) => pricedOf(offer, needs))
    .sort((a, b) => a.price - b.price || compareText(a.offer.offerId, b.offer.offerId));
  if (priced.length === 0) return undefined;
  let missing = Math.max(1, gpuCount);
  let taken = 0;
  let cost = 0;
  let bootMs = 0;
  for (const { offer, price, room } of priced) {
    if (missing <= 0) break;
    const share = Math.min(room, missing);
    missing -= share;
    taken += share;
    cost += share * price;
    bootMs = Math.max(bootMs, offer.bootMs);
  }
  return {
    idleMicroUsdPerGpuHour: Math.round(cost / taken),
    leadMs: Math.round(bootMs * (1 + BOOT_SCATTER_FRACTION)) + REACTION_MS,
  };
}

function isOpen(offer: Offer, needs: GpuNeeds, policy: OptimizerPolicy): boolean {
  return offer.nodeCountMax > 0 && mayServe(offer, needs, policy);
}

function pricedOf(
  offer: Offer,
  needs: GpuNeeds,
): { readonly offer: Offer; readonly price: number; readonly room: number } {
  const perNode = fitCount(roomOf(offer.resources), resourcesOf(needs)) * needs.gpu.count;
  const rent = offer.purchase === "reserved" ? 0 : offer.priceMicroUsdPerHour;
  return { offer, price: rent / perNode, room: perNode * offer.nodeCountMax };
}
