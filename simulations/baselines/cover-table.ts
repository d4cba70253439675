/**
 * The cheapest machines for any number of containers of one kind: a covering knapsack.
 *
 *     minimise sum n_o * price_o   with   sum n_o * perNode_o >= wanted,   0 <= n_o <= limit_o
 *
 * Exact, by dynamic programming over the number of containers. The pieces of an offer are 1, 2,
 * 4, ... nodes, so a table costs O(wanted * offers * log nodes); it answers for every smaller
 * number too. Among offers whose nodes hold equally many only the cheapest ones that suffice
 * take part. Source: Martello and Toth, Knapsack Problems (1990), chapter 3.
 */
import type { Offer } from "../../core/index.ts";
import { order, type Choice } from "./cover.ts";

/** An offer, and how many nodes of it can be had. */
export interface LimitedChoice extends Choice {
  readonly nodeCountMax: number;
}

/** Nodes of one offer that are taken together or not at all. */
interface Piece {
  readonly offer: Offer;
  readonly nodeCount: number;
  /** Containers that it holds. */
  readonly weight: number;
  readonly price: number;
  /** By number of containers: 1 where the piece is part of the best. */
  readonly taken: Uint8Array;
}

export class CoverTable {
  readonly countMax: number;
  readonly #pieces: readonly Piece[];
  /** Containers that all of the offers together hold, at most `countMax`. */
  readonly #room: number;

  /** @param countMax Most containers that will be asked for. */
  constructor(choices: readonly LimitedChoice[], countMax: number) {
    this.countMax = countMax;
    const useful = usefulChoices(choices, countMax);
    const room = useful.reduce((sum, { perNode, nodeCountMax }) => sum + perNode * nodeCountMax, 0);
    this.#room = Math.min(countMax, room);
    this.#pieces = useful.flatMap((choice) => piecesOf(choice, countMax));
    this.#fill();
  }

  /**
   * The cheapest nodes that hold `count` containers, by offer; all that helps when there are too
   * few. Equal prices are decided by the offers' ids.
   */
  nodesFor(count: number): ReadonlyMap<Offer, number> {
    const counts = new Map<Offer, number>();
    let need = Math.min(count, this.#room);
    for (let index = this.#pieces.length - 1; index >= 0 && need > 0; index -= 1) {
      const piece = this.#pieces[index];
      if (piece?.taken[need] !== 1) continue;
      counts.set(piece.offer, (counts.get(piece.offer) ?? 0) + piece.nodeCount);
      need = Math.max(0, need - piece.weight);
    }
    return counts;
  }

  #fill(): void {
    const prices = new Float64Array(this.#room + 1).fill(Infinity);
    prices[0] = 0;
    for (const { weight, price, taken } of this.#pieces) {
      for (let need = this.#room; need > 0; need -= 1) {
        const withIt = (prices[Math.max(0, need - weight)] ?? Infinity) + price;
        if (withIt >= (prices[need] ?? Infinity)) continue;
        prices[need] = withIt;
        taken[need] = 1;
      }
    }
  }
}

/** Of offers that hold equally many, the cheapest ones that hold `countMax`. */
function usefulChoices(
  choices: readonly LimitedChoice[],
  countMax: number,
): readonly LimitedChoice[] {
  const heldBySize = new Map<number, number>();
  const byPrice = [...choices].sort(
    (a, b) =>
      a.offer.priceMicroUsdPerHour - b.offer.priceMicroUsdPerHour || order(a.offer, b.offer),
  );
  return byPrice.filter(({ perNode, nodeCountMax }) => {
    const held = heldBySize.get(perNode) ?? 0;
    heldBySize.set(perNode, held + perNode * nodeCountMax);
    return held < countMax && nodeCountMax > 0;
  });
}

function piecesOf(choice: LimitedChoice, countMax: number): readonly Piece[] {
  const { offer, perNode, nodeCountMax } = choice;
  const pieces: Piece[] = [];
  let left = Math.min(nodeCountMax, Math.ceil(countMax / perNode));
  for (let size = 1; left > 0; size *= 2) {
    const nodeCount = Math.min(size, left);
    left -= nodeCount;
    pieces.push({
      offer,
      nodeCount,
      weight: nodeCount * perNode,
      price: nodeCount * offer.priceMicroUsdPerHour,
      taken: new Uint8Array(countMax + 1),
    });
  }
  return pieces;
}
