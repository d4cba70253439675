/**
 * Layout: which cards containers sit on.
 *
 * Cards are sticky: a share stays on the card it was given, and gives back that card. Where
 * nobody recorded the cards of a running container, they are laid out on paper: recorded ones
 * first, then the largest first, each on the first cards that hold it (first fit decreasing),
 * so that equal sets of containers give equal layouts in whatever order they come.
 *
 * Limit: the node agent may have unrecorded shares on other cards; it is the arbiter and
 * refuses what does not fit.
 */
import type { PlacedContainer } from "../../core/index.ts";
import { CARD, shareOf, wholeCardsOf } from "./request-class.ts";

/** What one container takes of its node, in whole units. */
export interface Taken {
  readonly cpuMilli: number;
  readonly memoryMiB: number;
  readonly diskMiB: number;
  /** Millionths taken of each of `cards`: all of them, or a share of the only one. */
  readonly perCard: number;
  readonly cards: readonly number[];
}

export interface LaidOut {
  readonly containerId: string;
  readonly taken: Taken;
}

/**
 * What containers take of a node with these millionths free on its cards. On an overfilled node
 * free amounts go below 0.
 */
export function layOut(
  cardsFree: readonly number[],
  containers: readonly PlacedContainer[],
): readonly LaidOut[] {
  const free = [...cardsFree];
  const isRecorded = (one: PlacedContainer): boolean => hasCards(one, free.length);
  const recorded = containers.filter(isRecorded);
  const others = containers
    .filter((one) => !isRecorded(one))
    .sort((a, b) => b.resources.gpuCount - a.resources.gpuCount || byId(a, b));
  return [...recorded, ...others].map((one) => {
    const { cpuMilli, memoryMiB, diskMiB = 0, gpuCount } = one.resources;
    const perCard = perCardOf(gpuCount);
    const cards = isRecorded(one)
      ? (one.cards ?? [])
      : cardsOnPaper(free, perCard, cardsWanted(gpuCount));
    for (const card of cards) free[card] = (free[card] ?? 0) - perCard;
    const taken = {
      cpuMilli: Math.ceil(cpuMilli),
      memoryMiB: Math.ceil(memoryMiB),
      diskMiB: Math.ceil(diskMiB),
      perCard,
      cards,
    };
    return { containerId: one.containerId, taken };
  });
}

/** Millionths that a GPU count takes of each of its cards. */
export function perCardOf(gpuCount: number): number {
  return gpuCount >= 1 ? CARD : shareOf(gpuCount);
}

function cardsWanted(gpuCount: number): number {
  return gpuCount > 0 ? Math.max(1, wholeCardsOf(gpuCount)) : 0;
}

function hasCards({ cards, resources }: PlacedContainer, cardCount: number): boolean {
  return (
    cards?.length === cardsWanted(resources.gpuCount) &&
    cards.every((card) => Number.isInteger(card) && card >= 0 && card < cardCount)
  );
}

/** The first cards that hold `perCard`, then the emptiest others. */
function cardsOnPaper(free: readonly number[], perCard: number, count: number): readonly number[] {
  const all = [...free.keys()];
  const holds = (card: number): boolean => (free[card] ?? 0) >= perCard;
  const rest = all
    .filter((card) => !holds(card))
    .sort((a, b) => (free[b] ?? 0) - (free[a] ?? 0) || a - b);
  return [...all.filter(holds), ...rest].slice(0, count);
}

function byId(one: PlacedContainer, other: PlacedContainer): number {
  return one.containerId < other.containerId ? -1 : 1;
}
