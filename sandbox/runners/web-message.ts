/** HTTP requests to functions, as their inputs carry them, and responses that become results. */
import type { HeaderPairs } from "../streams/piece.ts";

/** The argument of an input that is an HTTP request. */
export interface WebRequest {
  readonly method: string;
  /** Absolute, as the function is to see it: without the prefix of the gateway. */
  readonly url: string;
  readonly headers: HeaderPairs;
  /** The whole body, when it is small; absent without one and when it comes as a stream. */
  readonly body?: Uint8Array;
  /** The body comes over the input's stream. */
  readonly streamsBody?: boolean;
  /** It goes to an HTTP server on this port of the container, and not to the function. */
  readonly port?: number;
  /** The port is one of a sandbox, where nothing need listen. */
  readonly isTunnel?: boolean;
  /** It asks for another protocol, such as WebSocket. */
  readonly upgrades?: boolean;
}

/** What becomes of an HTTP response in the ledger. */
export interface WebResult {
  readonly status: number;
  readonly headers: HeaderPairs;
  /** Absent: it went to the client and was not kept. */
  readonly body?: Uint8Array;
}

/**
 * What is to become of the response of an input: the client waits for its head so long from now
 * (0: nobody waits, it becomes the result), or it must not run, since its client has gone or has
 * seen the beginning of another answer.
 */
export type WebWish = { readonly withinMs: number } | "unwanted";
