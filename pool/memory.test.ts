import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MS_PER_HOUR, MS_PER_MINUTE, type CloudName } from "../core/index.ts";
import { noteLaunch } from "./launch-health.ts";
import {
  changesBetween,
  entriesOf,
  LAUNCHES_KEPT_MS,
  memoryOf,
  NO_MEMORY,
  type MemoryChanges,
  type MemoryEntry,
  type PoolMemory,
} from "./memory.ts";
import { badFraction, penalise } from "./penalties.ts";
import { refusalOf, REFUSAL_RESET_MS, remember } from "./refusals.ts";
import { testOffer } from "./test-pool.ts";

const NOW_MS = 1_000_000_000;
const TTL_MS = 3 * MS_PER_MINUTE;
const offer = testOffer();

/** Something that changes a memory. */
interface Happening {
  readonly kind: "refused" | "bad machine" | "launched" | "failed" | "received";
  readonly name: string;
  readonly afterMs: number;
}

const happenings = fc.array(
  fc.record<Happening>({
    kind: fc.constantFrom("refused", "bad machine", "launched", "failed", "received"),
    name: fc.constantFrom("a", "b", "with space", "ünï"),
    afterMs: fc.integer({ min: 0, max: MS_PER_HOUR }),
  }),
  { maxLength: 12 },
);

function after(memory: PoolMemory, { kind, name }: Happening, nowMs: number): PoolMemory {
  const { refusals, penalties, launches, receivedAtMs } = memory;
  const cloud: CloudName = name === "a" ? "aws" : "gcp";
  switch (kind) {
    case "refused": {
      const scope = { kind: "offer", offerId: name } as const;
      const refusal = { scope, reason: "no more", nowMs, firstTtlMs: TTL_MS };
      return { ...memory, refusals: remember(refusals, refusal) };
    }
    case "bad machine":
      return { ...memory, penalties: penalise(penalties, name, nowMs) };
    case "launched":
    case "failed":
      return { ...memory, launches: noteLaunch(launches, cloud, kind === "launched") };
    case "received":
      return { ...memory, receivedAtMs: new Map(receivedAtMs).set(name, nowMs) };
  }
}

function memoryAfter(all: readonly Happening[]): {
  readonly memory: PoolMemory;
  readonly nowMs: number;
} {
  let nowMs = NOW_MS;
  let memory = NO_MEMORY;
  for (const one of all) memory = after(memory, one, (nowMs += one.afterMs));
  return { memory, nowMs };
}

/** Applies changes as a store does, its values having been written as JSON. */
function applied(
  entries: readonly MemoryEntry[],
  { put, removed }: MemoryChanges,
): readonly MemoryEntry[] {
  const identity = ({ kind, key }: Pick<MemoryEntry, "kind" | "key">) => `${kind}/${key}`;
  const gone = new Set([...removed, ...put].map(identity));
  const written = JSON.parse(JSON.stringify(put)) as readonly MemoryEntry[];
  return [...entries.filter((one) => !gone.has(identity(one))), ...written];
}

test("what was written is read as it was, but for what is over by then", () => {
  fc.assert(
    fc.property(happenings, (all) => {
      const { memory, nowMs } = memoryAfter(all);
      const entries = applied([], changesBetween([], entriesOf(memory, nowMs)));
      const read = memoryOf(entries, nowMs);
      const isRecent = ({ refusedAtMs }: { readonly refusedAtMs: number }) =>
        nowMs - refusedAtMs < REFUSAL_RESET_MS;
      expect(read.refusals).toEqual(memory.refusals.filter(isRecent));
      expect(read.launches).toEqual(memory.launches);
      expect(read.receivedAtMs).toEqual(memory.receivedAtMs);
      for (const offerId of ["a", "b", "never"]) {
        const before = badFraction(memory.penalties, offerId, nowMs);
        expect(badFraction(read.penalties, offerId, nowMs)).toBe(before);
      }
    }),
  );
});

test("changes written one after the other lead to the same entries as all at once", () => {
  fc.assert(
    fc.property(happenings, happenings, (first, second) => {
      const before = memoryAfter(first);
      let { memory, nowMs } = before;
      for (const one of second) memory = after(memory, one, (nowMs += one.afterMs));
      const earlier = entriesOf(before.memory, before.nowMs);
      const later = entriesOf(memory, nowMs);
      const stored = applied(earlier, changesBetween(earlier, later));
      expect(memoryOf(stored, nowMs)).toEqual(memoryOf(later, nowMs));
      expect(changesBetween(later, entriesOf(memory, nowMs + 1))).toEqual({ put: [], removed: [] });
    }),
  );
});

describe("what is read later", () => {
  test("holds as long as it would have, and not longer", () => {
    const { memory } = memoryAfter([{ kind: "refused", name: offer.offerId, afterMs: 0 }]);
    const [refusal] = memory.refusals;
    const untilMs = refusal?.untilMs ?? 0;
    const read = memoryOf(entriesOf(memory, NOW_MS), untilMs - 1);
    expect(refusalOf(read.refusals, offer, untilMs - 1)).toEqual(refusal);
    expect(refusalOf(read.refusals, offer, untilMs)).toBeUndefined();
    expect(memoryOf(entriesOf(memory, NOW_MS), NOW_MS + REFUSAL_RESET_MS).refusals).toEqual([]);
  });

  test("forgets launches after a day, and bad machines when they weigh nothing", () => {
    const { memory } = memoryAfter([
      { kind: "failed", name: "a", afterMs: 0 },
      { kind: "bad machine", name: "a", afterMs: 0 },
    ]);
    const entries = entriesOf(memory, NOW_MS);
    const nextDay = memoryOf(entries, NOW_MS + LAUNCHES_KEPT_MS);
    expect(nextDay.launches.size).toBe(0);
    expect(nextDay.penalties.size).toBe(1);
    expect(memoryOf(entries, NOW_MS + 7 * LAUNCHES_KEPT_MS).penalties.size).toBe(0);
  });

  test("S29: holds no longer by a clock that is behind than when it was made", () => {
    const { memory } = memoryAfter([
      { kind: "refused", name: offer.offerId, afterMs: 0 },
      { kind: "bad machine", name: "a", afterMs: 0 },
      { kind: "received", name: "no_1", afterMs: 0 },
    ]);
    const behindMs = NOW_MS - MS_PER_HOUR;
    const read = memoryOf(entriesOf(memory, NOW_MS), behindMs);
    expect(read.refusals[0]).toMatchObject({ refusedAtMs: behindMs, count: 1 });
    expect(read.refusals[0]?.untilMs).toBeLessThanOrEqual(behindMs + TTL_MS);
    expect(refusalOf(read.refusals, offer, behindMs)).toBeDefined();
    expect(read.penalties.get("a")).toEqual({ weight: 1, atMs: behindMs });
    expect(read.receivedAtMs.get("no_1")).toBe(behindMs);
  });
});
