/** The parts of a rent: what is asked for, the record of the intent, and what an answer means. */
import type { ErrorCode, Node, Offer } from "../core/index.ts";
import type { RefusalScope, RentOutcome, RentRequest } from "../providers/index.ts";
import { CLUSTER_TAG } from "./observe.ts";
import type { PoolRecord } from "./ports.ts";
import type { Attempt } from "./provider-desk.ts";
import type { RefusedScope } from "./refusals.ts";

/** Tag that names the node a machine was rented for. */
const NODE_TAG = "flotilla:node";

/** What a rent has led to. */
export type RentResult =
  | { readonly kind: "rented"; readonly providerNodeId: string }
  /** Certainly no machine; `scope` is to be left alone for a while. */
  | { readonly kind: "refused"; readonly reason: string; readonly scope: RefusedScope }
  /** There may be a machine: only a listing or the same token again can tell. */
  | { readonly kind: "unknown"; readonly reason: string };

/** The record of a rent that is about to be asked for. */
export function newRecord(
  offer: Offer,
  rent: { readonly nodeId: string; readonly reason: string; readonly nowMs: number },
): PoolRecord {
  const { nodeId, reason, nowMs } = rent;
  const node: Node = {
    nodeId,
    offerId: offer.offerId,
    cloud: offer.cloud,
    region: offer.region,
    ...(offer.zone === undefined ? {} : { zone: offer.zone }),
    instanceType: offer.instanceType,
    purchase: offer.purchase,
    ...(offer.gpuType === undefined ? {} : { gpuType: offer.gpuType }),
    resources: offer.resources,
    priceMicroUsdPerHour: offer.priceMicroUsdPerHour,
    state: "requested",
    stateSinceMs: nowMs,
    emulated: offer.emulated,
    isolation: "gvisor",
  };
  return { node, clientToken: `rent-${nodeId}`, reason, requestedAtMs: nowMs };
}

/** The request for a record; equal records give equal requests, so that it can be repeated. */
export function rentRequestOf(
  record: PoolRecord,
  rent: { readonly offer: Offer; readonly userData: string; readonly clusterId: string },
): RentRequest {
  const { nodeId } = record.node;
  return {
    offer: rent.offer,
    nodeId,
    clientToken: record.clientToken,
    userData: rent.userData,
    tags: { [CLUSTER_TAG]: rent.clusterId, [NODE_TAG]: nodeId },
  };
}

/** The offer a node was rented by, for repeating its rent when the offer is no longer listed. */
export function offerOfNode(node: Node): Offer {
  return {
    offerId: node.offerId ?? "",
    cloud: node.cloud,
    region: node.region,
    ...(node.zone === undefined ? {} : { zone: node.zone }),
    instanceType: node.instanceType,
    purchase: node.purchase,
    ...(node.gpuType === undefined ? {} : { gpuType: node.gpuType }),
    resources: node.resources,
    priceMicroUsdPerHour: node.priceMicroUsdPerHour,
    reclaimFractionPerHour: 0,
    bootMs: 0,
    nodeCountMax: 1,
    quotaGroups: [],
    emulated: node.emulated,
  };
}

/**
 * What an answer means. Errors that say the request itself was turned down are refusals; all
 * others leave open whether there is a machine. Lost credentials say nothing about an earlier
 * attempt, so when repeating they leave it open too.
 */
export function resultOf(
  attempt: Attempt<RentOutcome>,
  offer: Offer,
  isRepeat: boolean,
): RentResult {
  if (attempt.kind === "done") {
    const outcome = attempt.value;
    if (outcome.kind === "rented") return outcome;
    return { ...outcome, scope: scopeOf(outcome.scope, offer) };
  }
  const { code, message: reason } = attempt.error;
  switch (MEANINGS[code]) {
    case "offer refused":
      return { kind: "refused", reason, scope: { kind: "offer", offerId: offer.offerId } };
    case "cloud refused":
      if (isRepeat) return { kind: "unknown", reason };
      return { kind: "refused", reason, scope: { kind: "cloud", cloud: offer.cloud } };
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

function scopeOf(scope: RefusalScope, offer: Offer): RefusedScope {
  return scope.kind === "quota" ? scope : { kind: "offer", offerId: offer.offerId };
}
