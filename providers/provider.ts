/**
 * The provider port: what the pool needs of a cloud, in our words.
 *
 * Adapters translate names, error codes and shapes in their own `translate.ts`; nothing of a
 * cloud's wire leaves its folder.
 */
import type { CloudName, Offer } from "../core/index.ts";

/** What to rent. Sending it again with the same `clientToken` rents nothing more. */
export interface RentRequest {
  readonly offer: Offer;
  readonly nodeId: string;
  /** Idempotency token, at most 64 ASCII characters, persisted before the call. */
  readonly clientToken: string;
  /** Started on the machine's first boot. */
  readonly userData: string;
  /** Cluster, plan and owner; every rented machine carries them. */
  readonly tags: Readonly<Record<string, string>>;
}

/** Expected answers to a rent; anything else is a thrown `PlatformError`. */
export type RentOutcome =
  | { readonly kind: "rented"; readonly providerNodeId: string }
  /** No machine now; leave the offer alone for a while. */
  | { readonly kind: "refused"; readonly reason: string; readonly scope: RefusalScope };

/** What a refusal speaks of: the offer itself, or a quota that binds others too. */
export type RefusalScope =
  { readonly kind: "offer" } | { readonly kind: "quota"; readonly quotaGroup: string };

/** A machine as its provider lists it. */
export interface ProviderNode {
  readonly providerNodeId: string;
  /** Ours, from its tags; absent on a machine that lost its tags. */
  readonly nodeId?: string;
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
