/** The pool's event log, its memory and its fence. */
import { expect, it } from "vitest";
import type { MemoryEntry } from "../../../pool/index.ts";
import {
  POOL_EVENTS_KEPT_MS,
  POOL_MEMORY_KEPT,
  POOL_MEMORY_KEPT_MS,
  type NewPoolEvent,
} from "../record-store.ts";
import { aNode, type OpenBench } from "./samples.ts";

function anEvent(kind: string, changes: Partial<NewPoolEvent> = {}): NewPoolEvent {
  return { atMs: 1_000, kind, reason: `because of ${kind}`, ...changes };
}

/** Declares the suite of `RecordStore.poolEvents`. */
export function testPoolEvents({ store, reopen }: OpenBench): void {
  it("gives events newest first, in pages, also after it was opened again", async () => {
    const whole = {
      nodeId: "no_1",
      cloud: "aws",
      offerId: "aws/r/*/p5/spot",
      providerNodeId: "i-1",
    };
    const kinds = ["requested", "booting", "registered", "draining", "terminated"];
    await store().poolEvents.append(kinds.map((kind) => anEvent(kind, whole)));
    const { poolEvents } = await reopen();
    const first = await poolEvents.list({ limit: 2 });
    expect(first.map(({ kind }) => kind)).toEqual(["terminated", "draining"]);
    expect(first[0]).toMatchObject({ ...anEvent("terminated", whole) });
    const beforeSequence = first[1]?.sequence ?? 0;
    const rest = await poolEvents.list({ beforeSequence, limit: 10 });
    expect(rest.map(({ kind }) => kind)).toEqual(["registered", "booting", "requested"]);
  });

  it("gives the events of one node alone, and leaves out what an event does not have", async () => {
    const { poolEvents } = store();
    await poolEvents.append([
      anEvent("requested", { nodeId: "no_1" }),
      anEvent("requested", { nodeId: "no_2" }),
      anEvent("provider_failed", { cloud: "gcp" }),
      anEvent("refused", { nodeId: "no_1" }),
    ]);
    const own = await poolEvents.list({ nodeId: "no_1", limit: 10 });
    expect(own.map(({ kind }) => kind)).toEqual(["refused", "requested"]);
    const [failed] = await poolEvents.list({ beforeSequence: own[0]?.sequence ?? 0, limit: 1 });
    const { sequence, ...event } = failed ?? { sequence: 0 };
    expect(sequence).toBeGreaterThan(0);
    expect(event).toEqual(anEvent("provider_failed", { cloud: "gcp" }));
    expect(await poolEvents.list({ nodeId: "no_none", limit: 10 })).toEqual([]);
  });

  it("forgets events after the time they are kept for", async () => {
    const { poolEvents } = store();
    await poolEvents.append([anEvent("old"), anEvent("kept", { atMs: 2_000 })]);
    await poolEvents.append([anEvent("new", { atMs: 1_001 + POOL_EVENTS_KEPT_MS })]);
    const left = await poolEvents.list({ limit: 10 });
    expect(left.map(({ kind }) => kind)).toEqual(["new", "kept"]);
    await poolEvents.append([]);
    expect(await poolEvents.list({ limit: 10 })).toHaveLength(2);
  });
}

/** One entry of each kind, in the order of a store. */
function entries(): readonly MemoryEntry[] {
  const scope = { kind: "offer", offerId: "aws/r/*/p5/spot" } as const;
  const key = `offer ${scope.offerId}`;
  const refusal = { key, scope, untilMs: 9_000, refusedAtMs: 1_000, count: 2, reason: "ünï" };
  return [
    {
      kind: "launches",
      key: "aws",
      atMs: 2_000,
      value: { cloud: "aws", succeeded: [true, false] },
    },
    { kind: "penalty", key: "offer-1", atMs: 3_000, value: { weight: 0.125, atMs: 3_000 } },
    { kind: "received", key: "no_1", atMs: 4_000, value: { atMs: 4_000 } },
    { kind: "refusal", key, atMs: 1_000, value: refusal },
  ];
}

function received(key: string, atMs: number): MemoryEntry {
  return { kind: "received", key, atMs, value: { atMs } };
}

/** Declares the suite of `RecordStore.poolMemory`. */
export function testPoolMemory({ store, reopen }: OpenBench): void {
  const fence = { name: "pool", token: 1 };

  it("gives entries back as they were put, also after it was opened again", async () => {
    expect(await store().poolMemory.list()).toEqual([]);
    await store().poolMemory.change(fence, { put: entries().toReversed(), removed: [] });
    expect(await store().poolMemory.list()).toEqual(entries());
    expect(await (await reopen()).poolMemory.list()).toEqual(entries());
  });

  it("replaces by kind and key, and removes what is said to be over and nothing else", async () => {
    const { poolMemory } = store();
    await poolMemory.change(fence, { put: [received("a", 1), received("b", 1)], removed: [] });
    const removed = [
      { kind: "received", key: "b" },
      { kind: "penalty", key: "a" },
    ] as const;
    await poolMemory.change(fence, { put: [received("a", 2)], removed });
    expect(await poolMemory.list()).toEqual([received("a", 2)]);
    await poolMemory.change(fence, { put: [], removed: [] });
    expect(await poolMemory.list()).toHaveLength(1);
  });

  it("forgets what is old, and the oldest of what is too much", async () => {
    const { poolMemory } = store();
    const put = Array.from({ length: POOL_MEMORY_KEPT }, (_, index) =>
      received(`no_${String(index).padStart(5, "0")}`, 1_000 + index),
    );
    await poolMemory.change(fence, { put, removed: [] });
    await poolMemory.change(fence, { put: [received("one-more", 2_000_000)], removed: [] });
    const keys = (await poolMemory.list()).map(({ key }) => key);
    expect(keys).toHaveLength(POOL_MEMORY_KEPT);
    expect(keys).not.toContain("no_00000");
    expect(keys).toContain("no_00001");
    const lateMs = 2_000_000 + POOL_MEMORY_KEPT_MS;
    await poolMemory.change(fence, { put: [received("late", lateMs)], removed: [] });
    expect((await poolMemory.list()).map(({ key }) => key)).toEqual(["late", "one-more"]);
  });

  it("S19: refuses what a deposed holder notes, and writes none of it", async () => {
    const { fences, poolMemory } = store();
    await poolMemory.change(fence, { put: [received("a", 1)], removed: [] });
    await fences.claim({ name: "pool", token: 2 });
    const removed = [{ kind: "received", key: "a" }] as const;
    const late = poolMemory.change(fence, { put: [received("b", 2)], removed });
    await expect(late).rejects.toMatchObject({ code: "conflict" });
    expect(await poolMemory.list()).toEqual([received("a", 1)]);
  });
}

/** Declares the suite of `RecordStore.fences` and of fenced writes. */
export function testFences({ store, reopen }: OpenBench): void {
  const fence = (token: number) => ({ name: "pool", token });

  it("begins at 0, and knows the highest token after it was opened again", async () => {
    expect(await store().fences.current("pool")).toBe(0);
    await store().fences.claim(fence(3));
    await store().fences.claim(fence(3));
    const { fences } = await reopen();
    expect(await fences.current("pool")).toBe(3);
    expect(await fences.current("other")).toBe(0);
    await expect(fences.claim(fence(2))).rejects.toMatchObject({ code: "conflict" });
    expect(await fences.current("pool")).toBe(3);
  });

  it("S19: refuses what a deposed holder writes, and writes none of it", async () => {
    const { fences, nodes } = store();
    await fences.claim(fence(1));
    await nodes.putFenced(fence(1), aNode("no_1"));
    await fences.claim(fence(2));
    const late = nodes.putFenced(fence(1), aNode("no_1", { launchedAtMs: 5 }), aNode("no_2"));
    await expect(late).rejects.toMatchObject({ code: "conflict" });
    expect(await nodes.listOpen()).toEqual([aNode("no_1")]);
    await nodes.putFenced(fence(2), aNode("no_2"));
    expect(await nodes.listOpen()).toHaveLength(2);
  });
}
