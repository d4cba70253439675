/** What a search finds. Plain data. */
import type { Figures } from "./figures.ts";
import type { Settings } from "./params.ts";

/** Figures of one policy on one stretch, by seed, and the mean of the objective over them. */
export interface Judgement {
  readonly value: number;
  /** Of each seed, in their order. */
  readonly values: readonly number[];
  readonly flights: readonly Figures[];
}

export interface TunedCandidate {
  /** From 1; 0 is the base policy. */
  readonly id: number;
  readonly settings: Settings;
  /** On the whole training stretch. */
  readonly train: Judgement;
  /** Of those only that were judged in the end. */
  readonly heldOut?: Judgement;
}

/** One that was judged on both stretches. */
export type JudgedCandidate = TunedCandidate & { readonly heldOut: Judgement };

export interface TuneOutcome {
  readonly base: JudgedCandidate;
  /** The one with the least value in training. */
  readonly best: JudgedCandidate;
  /** All that flew the whole training stretch, the best first, without the base policy. */
  readonly candidates: readonly TunedCandidate[];
  /** Candidates that were given up on shorter stretches. */
  readonly givenUpCount: number;
  /** Flights that the search asked for. */
  readonly flown: number;
}

/**
 * - `better`: the best one in training is better than the base policy on the held-out stretch too;
 * - `overfit`: it is better in training only;
 * - `none`: no candidate is better than the base policy even in training.
 */
export type Verdict = "better" | "overfit" | "none";

/** Whether the best one may replace the base policy; what is no better never may. */
export function verdictOf({ base, best }: TuneOutcome): Verdict {
  if (best.train.value >= base.train.value) return "none";
  return best.heldOut.value < base.heldOut.value ? "better" : "overfit";
}
