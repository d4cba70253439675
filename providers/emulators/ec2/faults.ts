/** What an injected fault does to a call. */
import { assertNever } from "../../../core/index.ts";
import type { FaultSelector } from "../shared/fault-board.ts";

/** What happens instead of the proper answer. */
export type FaultEffect =
  /** An error document with this code and status. */
  | {
      readonly kind: "error";
      readonly code: string;
      readonly status: number;
      readonly message?: string;
    }
  /** The socket is reset with no answer. */
  | { readonly kind: "reset" }
  /** No answer, with the socket open, until the client gives up or the emulator closes. */
  | { readonly kind: "hang" }
  /** A foreign body, such as the page of a proxy. */
  | {
      readonly kind: "body";
      readonly status: number;
      readonly contentType: string;
      readonly body: string;
    };

/** A fault and the calls it strikes; their place is their region. */
export interface Fault extends FaultSelector {
  readonly effect: FaultEffect;
}

/** One word for a journal: what was done to the call. */
export function describeEffect(effect: FaultEffect): string {
  switch (effect.kind) {
    case "error":
      return effect.code;
    case "body":
      return `body ${effect.status}`;
    case "hang":
    case "reset":
      return effect.kind;
    default:
      return assertNever(effect, "fault effect");
  }
}
