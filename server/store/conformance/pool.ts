/** The pool's event log and its fence. */
import { expect, it } from "vitest";
import { POOL_EVENTS_KEPT_MS, type NewPoolEvent } from "../record-store.ts";
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
