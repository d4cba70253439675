/** What an approach to a problem gives: the best candidate, and what proves how good it is. */
import type { Candidate } from "./candidate.ts";
import type { ShadowPrice } from "./plan.ts";

export interface Found {
  readonly candidate: Candidate;
  readonly totalUsd: number;
  /** No candidate costs less but for `fixed` costs; 0 always holds. */
  readonly boundUsd: number;
  readonly shadowPrices: readonly ShadowPrice[];
  /** True when it is as close to the bound as was asked for, or about as close as the last plan. */
  readonly isEnough?: boolean;
}

/** The present fleet kept, and what moving would have saved, as a share of its cost. */
export interface Kept {
  readonly candidate: Candidate;
  readonly savedFraction: number;
}

/** A way to solve a problem. */
export interface Approach {
  /** The best candidate it finds; undefined when the solver gives nothing. */
  solve(): Promise<Found | undefined>;
  /**
   * The best candidate that releases nothing: with the present nodes exactly, or with more.
   * Undefined when limits forbid the present fleet.
   */
  keepPresent(exactly: boolean): Promise<Candidate | undefined>;
}
