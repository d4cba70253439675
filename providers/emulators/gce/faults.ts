/** What an injected fault does to a call. */
import type { FaultSelector } from "../shared/fault-board.ts";
import { describeLineEffect, type LineEffect } from "../shared/line-effect.ts";

export type FaultEffect =
  /** An error document with this reason and status. */
  | {
      readonly kind: "error";
      readonly reason: string;
      readonly status: number;
      readonly message?: string;
    }
  /** The call is accepted, and its operation ends with this error. */
  | {
      readonly kind: "operation";
      readonly code: string;
      readonly status?: number;
      readonly message?: string;
    }
  | LineEffect;

/** A fault and the calls it strikes. */
export interface Fault extends FaultSelector {
  readonly effect: FaultEffect;
}

/** One word for a journal: what was done to the call. */
export function describeEffect(effect: FaultEffect): string {
  switch (effect.kind) {
    case "error":
      return effect.reason;
    case "operation":
      return effect.code;
    default:
      return describeLineEffect(effect);
  }
}
