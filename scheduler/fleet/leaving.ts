/** What a node would have if some of its containers left. */
import type { IndexedNode } from "./fleet-index.ts";
import type { Taken } from "./lay-out.ts";
import { CARD, type RequestClass } from "./request-class.ts";

/** A container that could leave. */
export interface Leaving {
  readonly taken: Taken;
}

/** Whether the request fits once all of `gone` have left. */
export function fitsWithout(
  node: IndexedNode,
  gone: readonly Leaving[],
  request: RequestClass,
): boolean {
  const cards = [...node.cards];
  let { cpuMilli, memoryMiB, diskMiB } = node;
  for (const { taken } of gone) {
    cpuMilli += taken.cpuMilli;
    memoryMiB += taken.memoryMiB;
    diskMiB += taken.diskMiB;
    for (const card of taken.cards) cards[card] = (cards[card] ?? 0) + taken.perCard;
  }
  const hasCards =
    request.share > 0
      ? cards.some((free) => free >= request.share)
      : cards.filter((free) => free === CARD).length >= request.cardCount;
  return (
    hasCards &&
    cpuMilli >= request.cpuMilli &&
    memoryMiB >= request.memoryMiB &&
    diskMiB >= request.diskMiB
  );
}

/**
 * Those who must leave so that the request fits, taken from the front of `order` and no more
 * than needed; `undefined` when all together are not enough. Who is free to leave (`isFree`)
 * is never spared.
 */
export function fewestLeaving<Item extends Leaving>(
  node: IndexedNode,
  order: readonly Item[],
  options: { readonly request: RequestClass; readonly isFree?: (item: Item) => boolean },
): readonly Item[] | undefined {
  const { request, isFree = () => false } = options;
  let count = 0;
  while (!fitsWithout(node, order.slice(0, count), request)) {
    if (count === order.length) return undefined;
    count += 1;
  }
  let needed = order.slice(0, count);
  // From the last one on: whoever turns out not to be in the way stays.
  for (const one of needed.toReversed()) {
    const others = needed.filter((other) => other !== one);
    if (!isFree(one) && fitsWithout(node, others, request)) needed = others;
  }
  return needed;
}
