/** Faults: what happens to calls instead of the proper answer, and to machines after it. */
import type { FaultSelector } from "../shared/fault-board.ts";
import { describeLineEffect, type LineEffect } from "../shared/line-effect.ts";
import type { OperationFailure } from "./operations.ts";

/** What is to become of a machine whose create is accepted. */
export type Fate =
  /** The operation fails, and leaves the machine, its interface and its disk behind. */
  | { readonly kind: "fail-create"; readonly failure: OperationFailure }
  /** It is allocated, and stops while it boots; the operation fails. */
  | { readonly kind: "die-at-boot" }
  /** It runs, and its process is never started. */
  | { readonly kind: "never-register" };

/** What happens instead of the proper answer. */
export type CallEffect =
  /** An error document with this code and status. */
  | {
      readonly kind: "error";
      readonly code: string;
      readonly status: number;
      readonly message?: string;
      /** For the `Retry-After` header, in whole seconds. */
      readonly retryAfterS?: number;
    }
  | LineEffect;

/** A fault and the calls it strikes; a fate strikes creates of machines only. */
export interface Fault extends FaultSelector {
  readonly effect: CallEffect | Fate;
}

/** Whether an effect is of the machine, and not of the call. */
export function isFate(effect: Fault["effect"]): effect is Fate {
  return ["fail-create", "die-at-boot", "never-register"].includes(effect.kind);
}

/** One word for a journal: what was done to the call. */
export function describeEffect(effect: CallEffect): string {
  return effect.kind === "error" ? effect.code : describeLineEffect(effect);
}
