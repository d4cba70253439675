/** What the proxy gives to the protocols that it speaks. */
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";

/** A connection that was let through. */
export interface Passage {
  readonly socket: Socket;
  /** Joins both ends until one closes, counts what passes, and tells the audit. */
  join(client: Duplex): Promise<void>;
}

/** Why there is no passage: `isRefusal` when it is a decision. */
export interface NoPassage {
  readonly isRefusal: boolean;
  readonly reason: string;
}
