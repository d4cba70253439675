/**
 * Memory of bad machines: an offer that gave some costs more in plans, less so with time.
 *
 *     weight(t)   = sum over its faults of 2^(-(t - t_fault) / 24 h)
 *     fraction(t) = 1 - 0.8^weight          share of its machines that are expected to be bad
 *     price(t)    = price / (1 - fraction)  what a good machine costs when bad ones are paid too
 *
 * Pure: memories are values.
 */
import { MS_PER_HOUR, type Offer } from "../core/index.ts";

/** By offer id: its weight at a time. */
export type PenaltyMemory = ReadonlyMap<string, { readonly weight: number; readonly atMs: number }>;

/** A fault weighs half after so long. */
export const FAULT_HALF_LIFE_MS = 24 * MS_PER_HOUR;

/** What one bad machine says of the next: one in five is expected to be bad. */
export const FAULT_FRACTION = 0.2;

/** Below this an offer is forgiven and forgotten. */
const WEIGHT_MIN = 0.01;

/** The memory after one more bad machine of an offer. */
export function penalise(memory: PenaltyMemory, offerId: string, nowMs: number): PenaltyMemory {
  const weight = weightAt(memory, offerId, nowMs) + 1;
  return new Map([...lastingPenalties(memory, nowMs), [offerId, { weight, atMs: nowMs }]]);
}

/** The memory without the offers that are forgiven by now. */
export function lastingPenalties(memory: PenaltyMemory, nowMs: number): PenaltyMemory {
  return new Map([...memory].filter(([id]) => weightAt(memory, id, nowMs) >= WEIGHT_MIN));
}

/** Share of an offer's machines that are expected to be bad, 0..1 and below 1. */
export function badFraction(memory: PenaltyMemory, offerId: string, nowMs: number): number {
  return 1 - (1 - FAULT_FRACTION) ** weightAt(memory, offerId, nowMs);
}

/** The offer as plans are to see it; the same one when nothing speaks against it. */
export function penalisedOffer(memory: PenaltyMemory, offer: Offer, nowMs: number): Offer {
  const fraction = badFraction(memory, offer.offerId, nowMs);
  if (weightAt(memory, offer.offerId, nowMs) < WEIGHT_MIN) return offer;
  const failing = 1 - (1 - (offer.launchFailureFraction ?? 0)) * (1 - fraction);
  return {
    ...offer,
    priceMicroUsdPerHour: Math.round(offer.priceMicroUsdPerHour / (1 - fraction)),
    launchFailureFraction: failing,
  };
}

/** A clock that is set back makes no fault heavier. */
function weightAt(memory: PenaltyMemory, offerId: string, nowMs: number): number {
  const known = memory.get(offerId);
  if (known === undefined) return 0;
  return known.weight * 2 ** (-Math.max(0, nowMs - known.atMs) / FAULT_HALF_LIFE_MS);
}
