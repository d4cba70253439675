/**
 * Whether a container fits on this node: a pure decision.
 *
 * Cores and memory add up. GPUs do not: a count from 1 on takes whole cards of its own, and
 * shares (below 1) are packed on cards that only shares use, the largest first, each on the
 * first card with room. Amounts are compared in millionths, so that ten tenths fill a card.
 */
import type { Resources } from "../../core/index.ts";

const MILLION = 1_000_000;

/**
 * Why a node of `total` that holds `held` cannot take `wanted` too; undefined when it can.
 * O(n log n + n * cards) in the number of containers held.
 */
export function refusalOf(
  wanted: Resources,
  held: readonly Resources[],
  total: Resources,
): string | undefined {
  for (const resource of ["cpuMilli", "memoryMiB"] as const) {
    const used = held.reduce((sum, one) => sum + one[resource], 0);
    const left = total[resource] - used;
    if (millionths(wanted[resource]) <= millionths(left)) continue;
    return `${resource}: ${plain(wanted[resource])} wanted, ${plain(left)} of ${total[resource]} free`;
  }
  if (wanted.gpuCount === 0) return undefined;
  const cardsUsed = cardsFor(held.map((one) => one.gpuCount));
  const cardsNeeded = cardsFor([...held, wanted].map((one) => one.gpuCount));
  if (cardsNeeded <= total.gpuCount) return undefined;
  const free = Math.max(0, Math.floor(total.gpuCount) - cardsUsed);
  return (
    `gpuCount: ${plain(wanted.gpuCount)} wanted, ${free} of ${total.gpuCount} unused and ` +
    "no shared one has enough left"
  );
}

/** Cards that these GPU counts take together. */
function cardsFor(gpuCounts: readonly number[]): number {
  const shares = gpuCounts.filter((gpus) => gpus > 0 && gpus < 1).map(millionths);
  const whole = gpuCounts.filter((gpus) => gpus >= 1).map(Math.ceil);
  const left: number[] = [];
  for (const share of shares.sort((a, b) => b - a)) {
    const at = left.findIndex((room) => room >= share);
    if (at === -1) left.push(MILLION - share);
    else left.splice(at, 1, (left[at] ?? 0) - share);
  }
  return whole.reduce((sum, cards) => sum + cards, 0) + left.length;
}

function millionths(amount: number): number {
  return Math.round(amount * MILLION);
}

/** Without the dust of binary fractions. */
function plain(amount: number): number {
  return millionths(amount) / MILLION;
}
