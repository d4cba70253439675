/** Faults of the line to a cloud, the same whatever the cloud speaks. */
import { assertNever } from "../../../core/index.ts";
import type { NoAnswer, WholeAnswer } from "./loopback-server.ts";

/** What comes instead of an answer of the cloud. */
export type LineEffect =
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

/** What the client gets. */
export function lineAnswer(effect: LineEffect): WholeAnswer | NoAnswer {
  switch (effect.kind) {
    case "body": {
      const { status, contentType, body } = effect;
      return { status, headers: { "content-type": contentType }, body };
    }
    case "hang":
    case "reset":
      return effect.kind;
    default:
      return assertNever(effect, "line effect");
  }
}

/** One word for a journal. */
export function describeLineEffect(effect: LineEffect): string {
  return effect.kind === "body" ? `body ${effect.status}` : effect.kind;
}
