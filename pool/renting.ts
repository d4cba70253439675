/** The parts of a rent: the records of the intent, the request, and what an answer means. */
import type { ErrorCode, Node, Offer } from "../core/index.ts";
import type { RentedMachine, RentOutcome, RentRequest } from "../providers/index.ts";
import { CLUSTER_TAG } from "./observe.ts";
import type { PoolRecord, RentBatch } from "./ports.ts";
import type { Attempt } from "./provider-desk.ts";
import type { RefusedScope } from "./refusals.ts";

/** Tags that tell people for whom and by which plan a machine was rented; nothing reads them. */
const OWNER_TAG = "flotilla:owner";
const PLAN_TAG = "flotilla:plan";

/** Something that is to be left alone for a while, and why. */
export interface RefusedThing {
  readonly scope: RefusedScope;
  readonly reason: string;
  /** The offer that the provider named; absent where it named none but refused all alike. */
  readonly offerId?: string;
}

/** These machines, and certainly no other. */
export interface RentAnswer {
  readonly kind: "answered";
  readonly rented: readonly RentedMachine[];
  readonly refused: readonly RefusedThing[];
}

/** What a request has led to. */
export type RentResult =
  | RentAnswer
  /** There may be machines: only a listing or the same token again can tell. */
  | { readonly kind: "unknown"; readonly reason: string };

/** A request that is about to be made, or made again. */
export interface Rent {
  readonly clientToken: string;
  readonly batch: RentBatch;
}

/** The token of a batch; node ids are never used twice, so it is the batch's own. */
export function clientTokenOf({ nodeIds }: RentBatch): string {
  return `rent-${nodeIds[0] ?? ""}`;
}

/** The records of a request that is about to be made: one a node, by the best offer. */
export function newRecords(
  batch: RentBatch,
  rent: { readonly reason: string; readonly nowMs: number },
): readonly PoolRecord[] {
  const [offer] = batch.offers;
  if (offer === undefined) return [];
  const { reason, nowMs } = rent;
  const clientToken = clientTokenOf(batch);
  return batch.nodeIds.map((nodeId) => {
    const node: Node = {
      nodeId,
      ...termsOf(offer),
      state: "requested",
      stateSinceMs: nowMs,
      isolation: "gvisor",
    };
    return { node, clientToken, batch, reason, requestedAtMs: nowMs };
  });
}

/** The record with the terms of the offer that its machine was rented by. */
export function rentedBy(record: PoolRecord, offer: Offer): PoolRecord {
  const { nodeId, providerNodeId, state, stateSinceMs, isolation } = record.node;
  const node: Node = {
    nodeId,
    ...(providerNodeId === undefined ? {} : { providerNodeId }),
    ...termsOf(offer),
    state,
    stateSinceMs,
    isolation,
  };
  return { ...record, node };
}

/** The request for a batch; equal batches give equal requests, so that it can be repeated. */
export function rentRequestOf(
  { clientToken, batch }: Rent,
  rent: {
    readonly userData: string;
    readonly clusterId: string;
    readonly owner?: string | undefined;
    /** When it was made for the first time; absent when it is now. */
    readonly firstAskedAtMs?: number;
  },
): RentRequest {
  const { clusterId, owner, firstAskedAtMs } = rent;
  const { planId } = batch;
  return {
    ...(firstAskedAtMs === undefined ? {} : { firstAskedAtMs }),
    offers: batch.offers,
    nodeIds: batch.nodeIds,
    clientToken,
    userData: rent.userData,
    tags: {
      [CLUSTER_TAG]: clusterId,
      ...(owner === undefined ? {} : { [OWNER_TAG]: owner }),
      ...(planId === undefined ? {} : { [PLAN_TAG]: planId }),
    },
  };
}

/**
 * What an answer means. Errors that say the request itself was turned down are refusals of all
 * its offers; all others leave open whether there are machines. Lost credentials say nothing
 * about an earlier attempt, so when repeating they leave it open too.
 */
export function resultOf(
  attempt: Attempt<RentOutcome>,
  { offers }: RentBatch,
  isRepeat: boolean,
): RentResult {
  const [best] = offers;
  if (attempt.kind === "done") {
    const { rented, refusals } = attempt.value;
    const refused = refusals.map(({ offerId, reason, scope }) => {
      if (scope.kind === "quota") return { scope, reason, offerId };
      if (scope.kind === "offer") {
        return { scope: { kind: "offer" as const, offerId }, reason, offerId };
      }
      const cloud = best?.cloud ?? "fake";
      return { scope: { kind: "cloud" as const, cloud }, reason, offerId };
    });
    return { kind: "answered", rented, refused };
  }
  const { code, message: reason } = attempt.error;
  const refusedAs = (scopes: readonly RefusedScope[]): RentResult => ({
    kind: "answered",
    rented: [],
    refused: scopes.map((scope) => ({ scope, reason })),
  });
  switch (MEANINGS[code]) {
    case "offer refused":
      return refusedAs(offers.map(({ offerId }) => ({ kind: "offer", offerId })));
    case "cloud refused":
      if (isRepeat || best === undefined) return { kind: "unknown", reason };
      return refusedAs([{ kind: "cloud", cloud: best.cloud }]);
    case "unknown":
      return { kind: "unknown", reason };
  }
}

/** What an error says of the rent that ended in it. */
const MEANINGS: Readonly<Record<ErrorCode, "offer refused" | "cloud refused" | "unknown">> = {
  auth_failed: "cloud refused",
  capacity_unavailable: "offer refused",
  conflict: "unknown",
  invalid_request: "offer refused",
  not_found: "offer refused",
  payload_too_large: "offer refused",
  quota_exceeded: "offer refused",
  rate_limited: "unknown",
  timed_out: "unknown",
  unavailable: "unknown",
};

/** What a node takes over from its offer. */
function termsOf(offer: Offer) {
  return {
    offerId: offer.offerId,
    cloud: offer.cloud,
    region: offer.region,
    ...(offer.zone === undefined ? {} : { zone: offer.zone }),
    instanceType: offer.instanceType,
    purchase: offer.purchase,
    ...(offer.gpuType === undefined ? {} : { gpuType: offer.gpuType }),
    resources: offer.resources,
    priceMicroUsdPerHour: offer.priceMicroUsdPerHour,
    emulated: offer.emulated,
  };
}
