import { expect, it } from "vitest";
import type { ProviderNode } from "../providers/index.ts";
import { RELEASE_RETRY_MS } from "./snapshot.ts";
import { Sightings } from "./sightings.ts";
import { testNode } from "./test-pool.ts";

const machine = (providerNodeId: string, over: Partial<ProviderNode> = {}): ProviderNode => ({
  providerNodeId,
  state: "running",
  launchedAtMs: 0,
  tags: { "flotilla:cluster": "c" },
  ...over,
});
const read = (sightings: Sightings, machines: readonly ProviderNode[], nowMs: number) => {
  const listing = { kind: "listed", machines, unseen: [], reclaimedAtMs: new Map() } as const;
  sightings.read("fake", listing, [], nowMs);
  return sightings.strays.map(({ providerNodeId }) => providerNodeId);
};

it("what is left of a create that failed half-way is a stray, what has ended is not", () => {
  const machines = [
    machine("runs"),
    machine("half-made", { state: "terminating" }),
    machine("ended", { state: "terminated" }),
    machine("foreign", { tags: { "flotilla:cluster": "other" } }),
  ];
  expect(read(new Sightings("c"), machines, 0)).toEqual(["runs", "half-made"]);
});

it("a stray is found although as many machines are owned as are listed", () => {
  // Two records claim one machine, as after a hand has gone through the ledger.
  const records = ["no_1", "no_2"].map((nodeId) => {
    const { record } = testNode(nodeId, "booting");
    return { ...record, node: { ...record.node, providerNodeId: "m-1" } };
  });
  const machines = [machine("m-1", { nodeId: "no_1" }), machine("m-2", { nodeId: "no_3" })];
  const sightings = new Sightings("c");
  const listing = { kind: "listed", machines, unseen: [], reclaimedAtMs: new Map() } as const;
  sightings.read("fake", listing, records, 0);
  expect(sightings.strays.map(({ providerNodeId }) => providerNodeId)).toEqual(["m-2"]);
});

it("a stray whose release was accepted is released again only after a minute", () => {
  const sightings = new Sightings("c");
  const machines = [machine("m-1", { state: "terminating" }), machine("m-2")];
  expect(read(sightings, machines, 0)).toEqual(["m-1", "m-2"]);
  sightings.noteStrayReleased({ cloud: "fake", providerNodeId: "m-1" }, 0);
  expect(read(sightings, machines, RELEASE_RETRY_MS - 1)).toEqual(["m-2"]);
  expect(read(sightings, machines, RELEASE_RETRY_MS)).toEqual(["m-1", "m-2"]);
});

it("a stray that was gone for a listing is a new one", () => {
  const sightings = new Sightings("c");
  sightings.noteStrayReleased({ cloud: "fake", providerNodeId: "m-1" }, 0);
  expect(read(sightings, [], 1)).toEqual([]);
  expect(read(sightings, [machine("m-1")], 2)).toEqual(["m-1"]);
});

it("a stray ages by our own clock where the cloud's is ahead of it", () => {
  const sightings = new Sightings("c");
  const ahead = machine("m-1", { launchedAtMs: 300_000 });
  const sinceAt = (nowMs: number) => {
    read(sightings, [ahead], nowMs);
    return sightings.strays.map(({ launchedAtMs }) => launchedAtMs);
  };
  expect([sinceAt(1_000), sinceAt(61_000)]).toEqual([[1_000], [1_000]]);
  // Another one is seen from its own first moment on.
  read(sightings, [], 62_000);
  expect(sinceAt(63_000)).toEqual([63_000]);
});
