/**
 * Remainders: how much of what is left on a partly used card nobody will ever fill.
 *
 *     W(r) = (RARITY * r + sum over shares s <= r of q_s * W(r - s)) / (RARITY + sum of q_s)
 *     q_s  = (part of s in all GPU requests) * sqrt(s / r)
 *
 * The next share to land on a remainder r is one that fits, the tighter the likelier; where
 * fitting shares are rare against RARITY, all of r is lost. So 0.19 GPU beside a share of 0.81
 * is worth little where nobody asks for 0.16, and much where many do.
 */
import type { DemandMix } from "../../demand.ts";
import { CARD } from "../../fleet/request-class.ts";

const RARITY = 0.0093;
const MILLI = 1_000;
const CARD_MILLI = CARD / MILLI;

/** `W` in GPUs by thousandths of a card; 0 for none and for a whole card. */
export function remainderWaste(gpuMix: DemandMix): Float64Array {
  const fractions = shareFractions(gpuMix);
  const waste = new Float64Array(CARD_MILLI + 1);
  for (let left = 1; left < CARD_MILLI; left += 1) {
    let sum = (RARITY * left) / CARD_MILLI;
    let weights = RARITY;
    for (const [share, fraction] of fractions) {
      if (share > left) break;
      const weight = fraction * Math.sqrt(share / left);
      sum += weight * (waste[left - share] ?? 0);
      weights += weight;
    }
    waste[left] = sum / weights;
  }
  return waste;
}

/** Share sizes in thousandths, rising, with their part of all requests for GPUs. */
function shareFractions(gpuMix: DemandMix): readonly (readonly [number, number])[] {
  const total = gpuMix.reduce((sum, { fraction }) => sum + fraction, 0);
  const fractions = new Map<number, number>();
  for (const { request, fraction } of gpuMix) {
    if (request.share === 0) continue;
    const milli = Math.ceil(request.share / MILLI);
    fractions.set(milli, (fractions.get(milli) ?? 0) + fraction / total);
  }
  return [...fractions].sort(([one], [other]) => one - other);
}
