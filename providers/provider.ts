/**
 * The provider port: what the pool needs of a cloud, in our words.
 *
 * Adapters translate names, error codes and shapes in their own `translate.ts`; nothing of a
 * cloud's wire leaves its folder.
 */
import type { CloudName, Offer } from "../core/index.ts";

/** Machines to rent together. Sending it again with the same `clientToken` rents nothing more. */
export interface RentRequest {
  /**
   * Acceptable offers, best first, at least one, each once; all of one cloud, one region, one
   * purchase option and one processor architecture.
   */
  readonly offers: readonly Offer[];
  /** One machine for each; unique, at least one, at most `RENT_COUNT_MAX`. */
  readonly nodeIds: readonly string[];
  /** Idempotency token of the batch: 1 to 64 of `A-Z a-z 0-9 - _`, persisted before the call. */
  readonly clientToken: string;
  /** The same on every machine of the batch; started on its first boot. */
  readonly userData: string;
  /**
   * Cluster, plan and owner; every machine carries them from its first moment, and beside them
   * the client token as `BATCH_TAG`.
   */
  readonly tags: Readonly<Record<string, string>>;
}

/** Most machines of one request. */
export const RENT_COUNT_MAX = 100;

/** Tag whose value is the client token of the batch that a machine was rented in. */
export const BATCH_TAG = "flotilla:batch";

/** A machine that a rent led to. */
export interface RentedMachine {
  readonly nodeId: string;
  readonly providerNodeId: string;
  /** Which of the request's offers it was rented by. */
  readonly offerId: string;
}

/** An offer of the request that gave no machine, or no further one; leave it alone for a while. */
export interface RentRefusal {
  readonly offerId: string;
  /** The provider's words, with its code. */
  readonly reason: string;
  readonly scope: RefusalScope;
}

/**
 * Expected answers to a rent. Anything else is a thrown `PlatformError`, and then the outcome
 * is unknown unless its code says otherwise: the same request again tells.
 */
export interface RentOutcome {
  /** In the order of `nodeIds`, each at most once; equal requests give equal assignments. */
  readonly rented: readonly RentedMachine[];
  /**
   * Not empty when fewer were rented than asked for; the other node ids then certainly have no
   * machine.
   */
  readonly refusals: readonly RentRefusal[];
}

/** What a refusal speaks of: the offer itself, a quota that binds others too, or the account. */
export type RefusalScope =
  | { readonly kind: "offer" }
  | { readonly kind: "quota"; readonly quotaGroup: string }
  | { readonly kind: "cloud" };

/** A machine as its provider lists it. */
export interface ProviderNode {
  readonly providerNodeId: string;
  /** Ours, from its name or tags; absent on a machine that has lost or not yet got it. */
  readonly nodeId?: string;
  /** Client token of its batch, from its tags. */
  readonly clientToken?: string;
  readonly state: "booting" | "running" | "terminating" | "terminated";
  readonly launchedAtMs: number;
  readonly tags: Readonly<Record<string, string>>;
}

/** A provider's notice that it will take a node back. */
export interface Interruption {
  readonly providerNodeId: string;
  readonly noticedAtMs: number;
  readonly deadlineMs: number;
}

/** The rental desk of one cloud account. All methods throw `PlatformError` on failure. */
export interface Provider {
  readonly cloud: CloudName;
  /** Offers open now, each once, sorted by `offerId`. */
  listOffers(): Promise<readonly Offer[]>;
  /**
   * Rents machines for `nodeIds` by the offers, trying better ones first.
   *
   * @throws PlatformError `invalid_request` for a request that breaks its rules or names what is
   *   not sold here; `conflict` for a token that was used for other nodes.
   */
  rent(request: RentRequest): Promise<RentOutcome>;
  /**
   * Releases machines; unknown or already released ones are not an error. A machine is gone
   * when `listNodes` says so, and not before: a cloud may accept and forget a release.
   */
  release(providerNodeIds: readonly string[]): Promise<void>;
  /** Every machine of this cluster: complete, or it throws; never a partial list. */
  listNodes(): Promise<readonly ProviderNode[]>;
  /** Notices that are known now. */
  interruptions(): Promise<readonly Interruption[]>;
  close(): Promise<void>;
}
