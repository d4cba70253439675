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
  /**
   * When the request was made for the first time, if this may not be the first; it may have led
   * to machines then that are not listed yet.
   */
  readonly firstAskedAtMs?: number;
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

/** A part of a cloud that did not tell its machines. */
export interface UnseenPlace {
  readonly region: string;
  /** Absent means the whole region. */
  readonly zone?: string;
  /** What was attempted there, and how it failed. */
  readonly reason: string;
}

/** Machines of this cluster, and where there may be more of them. */
export interface NodeListing {
  /** Complete, but for places that are unseen. */
  readonly nodes: readonly ProviderNode[];
  /** Places about which nothing is known now: what is not listed there may be there all the same. */
  readonly unseen: readonly UnseenPlace[];
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
  /**
   * Offers open now, each once, sorted by `offerId`. A region that has not said what it sells
   * may be missing; when all are, it throws.
   */
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
  /**
   * Every machine of this cluster. A region that fails or does not answer in time is named as
   * unseen and does not keep the others back; when there is nothing to be seen, it throws.
   */
  listNodes(): Promise<NodeListing>;
  /** Notices that are known now; of a region that fails, those of the last time. */
  interruptions(): Promise<readonly Interruption[]>;
  close(): Promise<void>;
}

/** One thing that an account may or may not do. */
export interface AccessFinding {
  /** What was tried, such as `rent in us-east-1 (dry run)`. */
  readonly step: string;
  readonly isGood: boolean;
  /** The cloud's words when it refused. */
  readonly detail: string;
}

/** A cloud that checks a rent without carrying it out; a provider may be one besides. */
export interface AccessProbe {
  /** Never throws a `PlatformError`: a failure is a finding. Rents nothing. */
  probe(): Promise<readonly AccessFinding[]>;
}

/** A machine of the account that carries no cluster's tag, so that no listing of a cluster has it. */
export interface UnclaimedMachine {
  readonly providerNodeId: string;
  /** Ours, from what tags it has left or from its name. */
  readonly nodeId?: string;
  /** Client token of its batch, from what tags it has left. */
  readonly clientToken?: string;
  /** What it has that only machines rented by this software have, such as `flotilla:batch`. */
  readonly marks: readonly string[];
  readonly launchedAtMs: number;
}

/** The machines of an account that no cluster claims, and where there may be more of them. */
export interface AccountView {
  /** Those that exist and are not being deleted; sorted by `providerNodeId`. */
  readonly machines: readonly UnclaimedMachine[];
  readonly unseen: readonly UnseenPlace[];
}

/** A cloud that can be looked over beyond this cluster's tag; a provider may be one besides. */
export interface AccountSurvey {
  /**
   * Machines without a cluster's tag in the places where this provider rents. Lists all that the
   * account has there, so it is dear: one call for each page, to be made every few minutes.
   *
   * @throws PlatformError when nothing can be seen.
   */
  survey(): Promise<AccountView>;
}

/** Whether a provider can look beyond this cluster's tag. */
export function isSurveying(provider: Provider): provider is Provider & AccountSurvey {
  return "survey" in provider && typeof provider.survey === "function";
}

/** Tags of this software begin so. */
const TAG_PREFIX = "flotilla:";

/** Those of our tags that a machine has, as marks; sorted. */
export function marksIn(tags: Readonly<Record<string, string>>): readonly string[] {
  return Object.keys(tags)
    .filter((key) => key.startsWith(TAG_PREFIX))
    .sort();
}

/** Whether a provider can try a rent dry. */
export function isProbing(provider: Provider): provider is Provider & AccessProbe {
  return "probe" in provider && typeof provider.probe === "function";
}
