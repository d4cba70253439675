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
      /** The plan that the line is of. */
      readonly planId?: string;
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
  /** No new containers on it; it stays. */
  | { readonly kind: "cordon"; readonly nodeId: string; readonly reason: string }
  /** No new containers on it, and it is given back when it is empty. */
  | {
      readonly kind: "drain";
      readonly nodeId: string;
      readonly reason: string;
      readonly cause: DrainCause;
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

/**
 * Why a node is drained: nothing needs it; what is on it is better elsewhere; the machine is bad,
 * which makes its offer dearer; its provider takes it back, and its offer is left alone for a
 * while; or its provider may do so, and another serves in its place by now.
 */
export type DrainCause = "surplus" | "move" | "fault" | "reclaim" | "risk";

/** The actions of some kinds. */
export type ActionOf<K extends NodeAction["kind"]> = Extract<NodeAction, { kind: K }>;
