/**
 * What the pool remembers beside its nodes, as entries that outlive its process.
 *
 * Refusals, bad machines, how launches went, and which nodes took in what others held: a process
 * that starts again, or another one that leads, goes on where the last one ended. What only
 * delays when it is lost (since when a move has been worth it, when a listing first lacked a
 * machine) is not kept.
 *
 * Entries of a clock that was ahead of ours are taken to be of now: none holds longer than when
 * it was made. Old ones are forgotten when they are read.
 *
 * Pure. O(entries).
 */
import { MS_PER_HOUR, type CloudName } from "../core/index.ts";
import type { LaunchMemory } from "./launch-health.ts";
import { lastingPenalties, type PenaltyMemory } from "./penalties.ts";
import { REFUSAL_RESET_MS, type Refusal, type RefusalMemory } from "./refusals.ts";

/** What must not be forgotten with a process. */
export interface PoolMemory {
  readonly refusals: RefusalMemory;
  readonly penalties: PenaltyMemory;
  readonly launches: LaunchMemory;
  /** When each node was last counted on to take in what another one held. */
  readonly receivedAtMs: ReadonlyMap<string, number>;
}

/** One remembered thing; kind and key are its identity. */
export type MemoryEntry = {
  readonly key: string;
  /** When it was last true or changed: the oldest are forgotten first. */
  readonly atMs: number;
} & (
  | { readonly kind: "refusal"; readonly value: Refusal }
  /** By offer id. */
  | { readonly kind: "penalty"; readonly value: { readonly weight: number; readonly atMs: number } }
  /** By cloud: whether its last launches succeeded, oldest first. */
  | {
      readonly kind: "launches";
      readonly value: { readonly cloud: CloudName; readonly succeeded: readonly boolean[] };
    }
  /** By node id. */
  | { readonly kind: "received"; readonly value: { readonly atMs: number } }
);

/** What is to be written, and what is no longer true. */
export interface MemoryChanges {
  readonly put: readonly MemoryEntry[];
  readonly removed: readonly Pick<MemoryEntry, "kind" | "key">[];
}

/** How launches went longer ago says nothing of the next. */
export const LAUNCHES_KEPT_MS = 24 * MS_PER_HOUR;

/** Nothing has happened yet. */
export const NO_MEMORY: PoolMemory = {
  refusals: [],
  penalties: new Map(),
  launches: new Map(),
  receivedAtMs: new Map(),
};

/** A memory as entries, each identity once. */
export function entriesOf(memory: PoolMemory, nowMs: number): readonly MemoryEntry[] {
  const { refusals, penalties, launches, receivedAtMs } = memory;
  return [
    ...refusals.map((value) => {
      const { key, refusedAtMs: atMs } = value;
      return { kind: "refusal", key, atMs, value } as const;
    }),
    ...[...penalties].map(([key, value]) => {
      return { kind: "penalty", key, atMs: value.atMs, value } as const;
    }),
    ...[...launches].map(([cloud, succeeded]) => {
      return { kind: "launches", key: cloud, atMs: nowMs, value: { cloud, succeeded } } as const;
    }),
    ...[...receivedAtMs].map(([key, atMs]) => {
      return { kind: "received", key, atMs, value: { atMs } } as const;
    }),
  ];
}

/** The memory that entries tell of, in any order, without what is over by now. */
export function memoryOf(entries: readonly MemoryEntry[], nowMs: number): PoolMemory {
  const refusals: Refusal[] = [];
  const penalties = new Map<string, { readonly weight: number; readonly atMs: number }>();
  const launches = new Map<CloudName, readonly boolean[]>();
  const receivedAtMs = new Map<string, number>();
  for (const entry of entries) {
    const atMs = Math.min(entry.atMs, nowMs);
    switch (entry.kind) {
      case "refusal":
        refusals.push(notAhead(entry.value, nowMs));
        break;
      case "penalty":
        penalties.set(entry.key, { weight: entry.value.weight, atMs });
        break;
      case "launches":
        if (nowMs - atMs < LAUNCHES_KEPT_MS) {
          launches.set(entry.value.cloud, entry.value.succeeded);
        }
        break;
      case "received":
        receivedAtMs.set(entry.key, atMs);
    }
  }
  return {
    refusals: refusals
      .filter((one) => nowMs - one.refusedAtMs < REFUSAL_RESET_MS)
      .sort((one, other) => (one.key < other.key ? -1 : 1)),
    penalties: lastingPenalties(penalties, nowMs),
    launches,
    receivedAtMs,
  };
}

/** What turns one set of entries into another; the time of an entry alone is no change. */
export function changesBetween(
  before: readonly MemoryEntry[],
  after: readonly MemoryEntry[],
): MemoryChanges {
  const known = new Map(before.map((entry) => [identityOf(entry), JSON.stringify(entry.value)]));
  const left = new Set(after.map(identityOf));
  return {
    put: after.filter((entry) => known.get(identityOf(entry)) !== JSON.stringify(entry.value)),
    removed: before
      .filter((entry) => !left.has(identityOf(entry)))
      .map(({ kind, key }) => ({ kind, key })),
  };
}

/** A refusal that holds no longer than when it was made, by a clock that may be behind. */
function notAhead(refusal: Refusal, nowMs: number): Refusal {
  const aheadMs = Math.max(0, refusal.refusedAtMs - nowMs);
  if (aheadMs === 0) return refusal;
  const { refusedAtMs, untilMs } = refusal;
  return { ...refusal, refusedAtMs: refusedAtMs - aheadMs, untilMs: untilMs - aheadMs };
}

function identityOf({ kind, key }: Pick<MemoryEntry, "kind" | "key">): string {
  return `${kind} ${key}`;
}
