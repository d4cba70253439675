/**
 * Memory of refusals: what a provider would not rent is left alone for a while.
 *
 *     ttl(n) = min(firstTtlMs * 2^(n-1), 30 min) * (1 - J u)   for the n-th refusal in a row
 *
 * with J = 0.2 and u in [0, 1) a hash of the key and n: what was refused together is not asked
 * for again together, and equal histories still give equal memories. An account that may not
 * rent at all is tried again every 5 minutes instead.
 * A row ends with a success, or three hours after its last refusal. A refusal is kept under
 * the narrowest thing it speaks of: one offer, one quota group, or the whole cloud.
 *
 * Source: doubling to 30 min and the reset after 3 h are the node-group backoff of the
 * Kubernetes cluster-autoscaler (its FAQ); 3 min for one offer is Karpenter's AWS provider.
 *
 * Pure: memories are values; every function gives a new one.
 */
import {
  createRng,
  MS_PER_HOUR,
  MS_PER_MINUTE,
  type CloudName,
  type Offer,
} from "../core/index.ts";

/** What a refusal speaks of. */
export type RefusedScope =
  | { readonly kind: "offer"; readonly offerId: string }
  | { readonly kind: "quota"; readonly quotaGroup: string }
  | { readonly kind: "cloud"; readonly cloud: CloudName }
  /** Machines of the cloud can be had, but do not become nodes. */
  | { readonly kind: "launches"; readonly cloud: CloudName };

/** One refused thing. */
export interface Refusal {
  /** Unique in a memory; see `refusalKey`. */
  readonly key: string;
  readonly scope: RefusedScope;
  /** Until when it is left out. */
  readonly untilMs: number;
  readonly refusedAtMs: number;
  /** Refusals in a row, >= 1. */
  readonly count: number;
  /** The provider's words, or ours. */
  readonly reason: string;
}

/** All refusals, open and lapsed, sorted by key. */
export type RefusalMemory = readonly Refusal[];

/** No refusal is remembered longer than this. */
export const REFUSAL_TTL_MS_MAX = 30 * MS_PER_MINUTE;

/**
 * An account that may not rent at all is tried again this often: rights come back by a person's
 * hand, at no rhythm that a growing pause would follow.
 */
export const CLOUD_PROBE_MS = 5 * MS_PER_MINUTE;

/** A time to live is shortened by up to this part of it. */
export const REFUSAL_JITTER_FRACTION = 0.2;

/** A refusal this long after the last one starts a new row. */
export const REFUSAL_RESET_MS = 3 * MS_PER_HOUR;

/** A new refusal to remember. */
export interface NewRefusal {
  readonly scope: RefusedScope;
  readonly reason: string;
  readonly nowMs: number;
  /** Time to live of the first in a row. */
  readonly firstTtlMs: number;
}

/**
 * The memory with one more refusal; rows that are over are dropped. While a refusal holds, more
 * of the same (rents that were under way together) renew it and do not lengthen the row.
 */
export function remember(memory: RefusalMemory, refusal: NewRefusal): RefusalMemory {
  const { scope, reason, nowMs, firstTtlMs } = refusal;
  const key = refusalKey(scope);
  const lasting = memory.filter((one) => nowMs - one.refusedAtMs < REFUSAL_RESET_MS);
  const last = lasting.find((one) => one.key === key);
  const count = last === undefined ? 1 : last.count + (last.untilMs > nowMs ? 0 : 1);
  const ttlMs = scope.kind === "cloud" ? CLOUD_PROBE_MS : growingTtlMs(key, count, firstTtlMs);
  const added = { key, scope, reason, count, refusedAtMs: nowMs, untilMs: nowMs + ttlMs };
  return [...lasting.filter((one) => one.key !== key), added].sort((a, b) =>
    a.key < b.key ? -1 : 1,
  );
}

function growingTtlMs(key: string, count: number, firstTtlMs: number): number {
  const fullMs = Math.min(firstTtlMs * 2 ** (count - 1), Math.max(firstTtlMs, REFUSAL_TTL_MS_MAX));
  const jitter = createRng(`${key} ${count}`).next() * REFUSAL_JITTER_FRACTION;
  return Math.round(fullMs * (1 - jitter));
}

/** The memory after `offer` was rented: it, its quotas and its cloud evidently serve. */
export function forget(memory: RefusalMemory, offer: Offer): RefusalMemory {
  const left = memory.filter(({ scope }) => scope.kind === "launches" || !concerns(scope, offer));
  return left.length === memory.length ? memory : left;
}

/** The memory after a machine of a cloud became a node: launches there evidently work. */
export function forgetLaunches(memory: RefusalMemory, cloud: CloudName): RefusalMemory {
  const key = refusalKey({ kind: "launches", cloud });
  return memory.some((one) => one.key === key) ? memory.filter((one) => one.key !== key) : memory;
}

/** Refusals that still hold. */
export function openRefusals(memory: RefusalMemory, nowMs: number): RefusalMemory {
  return memory.filter((one) => one.untilMs > nowMs);
}

/** The refusal that speaks against renting `offer` now, if any. */
export function refusalOf(memory: RefusalMemory, offer: Offer, nowMs: number): Refusal | undefined {
  return memory.find((one) => one.untilMs > nowMs && concerns(one.scope, offer));
}

/** `offer <id>`, `quota <group>`, `cloud <name>` or `launches <cloud>`. */
export function refusalKey(scope: RefusedScope): string {
  switch (scope.kind) {
    case "offer":
      return `offer ${scope.offerId}`;
    case "quota":
      return `quota ${scope.quotaGroup}`;
    case "cloud":
      return `cloud ${scope.cloud}`;
    case "launches":
      return `launches ${scope.cloud}`;
  }
}

function concerns(scope: RefusedScope, offer: Offer): boolean {
  switch (scope.kind) {
    case "offer":
      return scope.offerId === offer.offerId;
    case "quota":
      return offer.quotaGroups.includes(scope.quotaGroup);
    case "cloud":
    case "launches":
      return scope.cloud === offer.cloud;
  }
}
