/** What the pool can decide to do, each with its reason. */
import type { CloudName } from "../core/index.ts";

/** One thing to do, with the reason. */
export type NodeAction =
  /** Rent nodes for a plan line; the caller gives them ids and each request a token. */
  | {
      readonly kind: "rent";
      /** The line's offer. */
      readonly offerId: string;
      /**
       * Offers of one request each, best first: a later request is made for what the earlier
       * ones did not give.
       */
      readonly choices: readonly (readonly string[])[];
      readonly count: number;
      readonly reason: string;
    }
  /** Send a request whose outcome is unknown for these nodes again, with the same token. */
  | {
      readonly kind: "resume";
      readonly clientToken: string;
      readonly nodeIds: readonly string[];
      readonly reason: string;
    }
  /** Give up a rent that never led to a machine. */
  | { readonly kind: "abandon"; readonly nodeId: string; readonly reason: string }
  /** No new containers on it. */
  | {
      readonly kind: "drain";
      readonly nodeId: string;
      readonly reason: string;
      /** Whether its offer is to be left alone for a while. */
      readonly blamesOffer: boolean;
      /** Whether the machine itself is bad; absent means that it is not. */
      readonly isBad?: boolean;
    }
  /** Give back a drained machine. */
  | { readonly kind: "release"; readonly nodeId: string; readonly reason: string }
  /** Give back a machine that failed; what is on it is lost. */
  | {
      readonly kind: "terminate";
      readonly nodeId: string;
      readonly reason: string;
      /** Whether the failure counts against its offer. */
      readonly blamesOffer: boolean;
    }
  /** Give back a machine of ours that nobody owns. */
  | {
      readonly kind: "release-stray";
      readonly cloud: CloudName;
      readonly providerNodeId: string;
      readonly reason: string;
    };

/** The actions of some kinds. */
export type ActionOf<K extends NodeAction["kind"]> = Extract<NodeAction, { kind: K }>;
