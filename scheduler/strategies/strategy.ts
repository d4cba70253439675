/** What every placement strategy is: a penalty for a request on a node state. */
import type { GpuType } from "../../core/index.ts";
import type { DemandMix } from "../demand.ts";
import type { NodeState } from "../fleet/node-state.ts";
import type { RequestClass } from "../fleet/request-class.ts";

/** What a strategy may know beyond the state it looks at. */
export interface StrategyKnowledge {
  readonly mix: DemandMix;
  /** GPUs of the whole fleet by type. */
  readonly gpuCapacity: ReadonlyMap<GpuType, number>;
}

/**
 * A strategy, fixed for as long as its knowledge is. It sees only states on which the request
 * fits, and gives equal answers to equal questions.
 */
export interface Strategy {
  /** Smaller is better: the weighted sum of the terms, within `PENALTY_MAX` of 0. */
  penalty(request: RequestClass, state: NodeState): number;
  /** The terms of the penalty by name, weighted: their sum is the penalty. */
  terms(request: RequestClass, state: NodeState): Readonly<Record<string, number>>;
  /** Where in `state.cards` a share goes; only asked for shares. */
  cardFor(request: RequestClass, state: NodeState): number;
  /** What it counts, in its own unit, that a node holds nothing the container will read. */
  readonly coldPenalty: number;
}

/** Bound of every penalty, so that a step down a list of GPU types always weighs more. */
export const PENALTY_MAX = 1_024;

/** Place in falling `cards` of the fullest card that still holds `share`. */
export function tightestCard(cards: readonly number[], share: number): number {
  let at = cards.length - 1;
  while (at > 0 && (cards[at] ?? 0) < share) at -= 1;
  return at;
}

/** A strategy whose penalty is the sum of `terms` and that fills cards one after the other. */
export function sumOf(
  terms: Strategy["terms"],
  rest: Pick<Strategy, "coldPenalty"> & Partial<Pick<Strategy, "cardFor">>,
): Strategy {
  return {
    terms,
    penalty: (request, state) => {
      const all = terms(request, state);
      let sum = 0;
      for (const name in all) sum += all[name] ?? 0;
      return sum;
    },
    cardFor: (request, state) => tightestCard(state.cards, request.share),
    ...rest,
  };
}

/** A term of a penalty, held within its bounds. */
export function within(value: number, low: number, high: number): number {
  return value < low ? low : value > high ? high : value;
}
