/** What an injected fault does to a call. */
import type { FaultSelector } from "../shared/fault-board.ts";
import { describeLineEffect, type LineEffect } from "../shared/line-effect.ts";

/** What happens instead of the proper answer. */
export type FaultEffect =
  /** An error document with this code and status. */
  | {
      readonly kind: "error";
      readonly code: string;
      readonly status: number;
      readonly message?: string;
    }
  | LineEffect;

/** A fault and the calls it strikes; their place is their region. */
export interface Fault extends FaultSelector {
  readonly effect: FaultEffect;
}

/** One word for a journal: what was done to the call. */
export function describeEffect(effect: FaultEffect): string {
  return effect.kind === "error" ? effect.code : describeLineEffect(effect);
}
