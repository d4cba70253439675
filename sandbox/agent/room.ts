/**
 * Whether a container fits on this node, and on which cards: a pure decision.
 *
 * Cores and memory add up. GPUs do not: a count from 1 on takes whole cards of its own, and a
 * share (below 1) takes a part of one card that no whole count uses. A container stays on its
 * cards as long as it lives, since what it has loaded lies there. The server names the cards; where it
 * does not, the first that do are taken, for a share those that are in use before untouched ones.
 * Amounts are compared in millionths, so that ten tenths fill a card.
 */
import type { Resources } from "../../core/index.ts";

const MILLION = 1_000_000;

/** What a container holds, or asks for. */
export interface Room {
  readonly resources: Resources;
  /** Cards of this node, numbered from 0; absent in a wish that leaves them to the node. */
  readonly cards?: readonly number[];
}

export type RoomAnswer =
  | { readonly kind: "fits"; readonly cards: readonly number[] }
  /** `reason` is one sentence with what was wanted and what is free. */
  | { readonly kind: "refused"; readonly reason: string };

/**
 * Whether a node of `total` that holds `held` takes `wanted` too. O(n * cards) in the number of
 * containers held.
 */
export function roomFor(wanted: Room, held: readonly Room[], total: Resources): RoomAnswer {
  for (const resource of ["cpuMilli", "memoryMiB"] as const) {
    const amount = wanted.resources[resource];
    const used = held.reduce((sum, one) => sum + one.resources[resource], 0);
    const left = total[resource] - used;
    if (millionths(amount) <= millionths(left)) continue;
    return refused(
      `${resource}: ${plain(amount)} wanted, ${plain(left)} of ${total[resource]} free`,
    );
  }
  return cardsFor(wanted, freeCards(held, total.gpuCount));
}

/** Millionths that are free on each card. */
function freeCards(held: readonly Room[], gpuCount: number): readonly number[] {
  const free = Array.from({ length: Math.floor(gpuCount) }, () => MILLION);
  for (const { resources, cards = [] } of held) {
    for (const card of cards) free[card] = (free[card] ?? 0) - perCard(resources.gpuCount);
  }
  return free;
}

function cardsFor({ resources: { gpuCount }, cards }: Room, free: readonly number[]): RoomAnswer {
  const count = gpuCount > 0 ? Math.max(1, Math.ceil(gpuCount)) : 0;
  const needed = perCard(gpuCount);
  if (cards !== undefined) return namedCards(cards, { gpuCount, count, needed, free });
  const fitting = [...free.keys()]
    .filter((card) => (free[card] ?? 0) >= needed)
    .sort((a, b) => (free[a] ?? 0) - (free[b] ?? 0) || a - b);
  if (fitting.length >= count) return { kind: "fits", cards: fitting.slice(0, count) };
  const unused = free.filter((left) => left === MILLION).length;
  return refused(
    `gpuCount: ${plain(gpuCount)} wanted, ${unused} of ${free.length} unused and ` +
      "no shared one has enough left",
  );
}

function namedCards(
  cards: readonly number[],
  wish: {
    readonly gpuCount: number;
    readonly count: number;
    readonly needed: number;
    readonly free: readonly number[];
  },
): RoomAnswer {
  const { gpuCount, count, needed, free } = wish;
  if (cards.length !== count || new Set(cards).size !== count) {
    return refused(`cards: ${plain(gpuCount)} GPUs wanted on cards ${cards.join(", ") || "none"}`);
  }
  for (const card of cards) {
    const left = free[card];
    if (left === undefined) return refused(`cards: card ${card} wanted of ${free.length} cards`);
    if (left >= needed) continue;
    return refused(
      `cards: ${plain(needed / MILLION)} of card ${card} wanted, ${plain(left / MILLION)} free`,
    );
  }
  return { kind: "fits", cards };
}

/** Millionths that a GPU count takes of each of its cards. */
function perCard(gpuCount: number): number {
  return gpuCount >= 1 ? MILLION : millionths(gpuCount);
}

function refused(reason: string): RoomAnswer {
  return { kind: "refused", reason };
}

function millionths(amount: number): number {
  return Math.round(amount * MILLION);
}

/** Without the dust of binary fractions. */
function plain(amount: number): number {
  return millionths(amount) / MILLION;
}
