import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { countingIds, type Node } from "../../core/index.ts";
import type { AgentCredentials, AgentLink } from "../agents/hub.ts";
import type { EventBus } from "../services.ts";
import { aNode } from "../store/conformance/samples.ts";
import type { RecordStore, StoredNode } from "../store/record-store.ts";
import { openRecordStore } from "../store/sqlite/open.ts";
import { batchTokenOf } from "./batch-joins.ts";
import type { ContainerDesk } from "./container-desk.ts";
import { NodeDesk } from "./node-desk.ts";
import { NodeTable } from "./node-table.ts";

const KEY = new Uint8Array(32).fill(3);
const BATCH = "rent-no_1";
const TOKEN = batchTokenOf(BATCH, KEY);

let dir: string;
let store: RecordStore;
let nodes: NodeTable;
let desk: NodeDesk;
let nowMs: number;
let refusals: string[];
let interruptions: number;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "flotilla-desk-"));
  store = openRecordStore(join(dir, "records.db"));
  nodes = new NodeTable(store.nodes);
  nowMs = 10_000;
  [refusals, interruptions] = [[], 0];
  desk = newDesk();
  await put("no_1", "us-east-1/i-01");
  await put("no_2", "us-east-1/i-02");
});
afterEach(async () => {
  await store.close();
  await rm(dir, { recursive: true });
});

const newDesk = () =>
  new NodeDesk({
    store,
    nodes,
    // What these tests are not about: containers and events.
    containers: {
      reconcile: () => Promise.resolve(),
      linkLost: () => undefined,
    } as unknown as ContainerDesk,
    events: { publish: () => undefined } as unknown as EventBus,
    clock: { nowMs: () => nowMs, sleep: () => Promise.resolve() },
    ids: countingIds(),
    onArrived: () => undefined,
    onInterrupted: () => (interruptions += 1),
    key: KEY,
    joinLifetimeMs: 900_000,
    workspaceId: "default",
    onError: (error) => refusals.push(error instanceof Error ? error.message : String(error)),
  });

async function put(nodeId: string, providerNodeId?: string, more: Partial<Node> = {}) {
  const machine = providerNodeId === undefined ? {} : { providerNodeId };
  const stored: StoredNode = aNode(
    nodeId,
    { clientToken: BATCH, requestedAtMs: 1_000 },
    { state: "booting", ...machine, ...more },
  );
  await nodes.put([stored], nowMs);
}
const joining = (machine: string, over: Partial<AgentCredentials> = {}) =>
  desk.identify({
    authorization: `Bearer ${TOKEN}`,
    batch: BATCH,
    machineIds: [machine],
    ...over,
  });
const linkOf = (nodeId: string) => ({ nodeId }) as unknown as AgentLink;
const hello = (nodeId: string) =>
  desk.arrived(linkOf(nodeId), {
    type: "hello",
    node: {
      nodeId,
      hostname: "h",
      agentVersion: "1",
      arch: "x64",
      resources: { gpuCount: 1, cpuMilli: 1, memoryMiB: 1 },
      emulatedGpus: true,
      isolation: "process",
    },
    containers: [],
    artifacts: [],
  });

describe("a rented machine", () => {
  it("joins as its own node and comes back with its session", async () => {
    const identity = await joining("i-02");
    if (identity === undefined || identity === "later") throw new Error("it was not let in");
    expect(identity.nodeId).toBe("no_2");
    expect(await hello("no_2")).toBe(true);
    const back = { authorization: `Bearer ${identity.sessionToken}`, machineIds: [] };
    expect(await desk.identify(back)).toEqual(identity);
  });

  it("may ask again while its welcome was lost, and not after it was heard", async () => {
    expect(await joining("i-01")).toMatchObject({ nodeId: "no_1" });
    expect(await joining("i-01")).toMatchObject({ nodeId: "no_1" });
    await hello("no_1");
    expect(await joining("i-01")).toBeUndefined();
    expect(refusals).toEqual(["node no_1 has joined already"]);
    expect(await joining("i-02")).toMatchObject({ nodeId: "no_2" });
  });

  it("S9: stays used up after a restart of the server, whatever the pool wrote meanwhile", async () => {
    await joining("i-01");
    await hello("no_1");
    nodes = new NodeTable(store.nodes);
    await nodes.load(nowMs);
    desk = newDesk();
    expect(await joining("i-01")).toBeUndefined();
    expect(await joining("i-02")).toMatchObject({ nodeId: "no_2" });
  });

  it("S9: is refused late, foreign, with a stranger's token, and when its node has ended", async () => {
    expect(await joining("i-03")).toBeUndefined();
    expect(await joining("i-01", { authorization: undefined })).toBeUndefined();
    expect(await joining("i-01", { batch: "rent-no_2" })).toBeUndefined();
    const other = `Bearer ${batchTokenOf("rent-no_2", KEY)}`;
    expect(await joining("i-01", { authorization: other })).toBeUndefined();
    nowMs = 1_000 + 900_000;
    expect(await joining("i-01")).toBeUndefined();
    expect(refusals).toHaveLength(5);
  });

  it("waits when its rent is not answered yet", async () => {
    await put("no_3");
    expect(await joining("i-03")).toBe("later");
    await put("no_3", "us-east-1/i-03");
    expect(await joining("i-03")).toMatchObject({ nodeId: "no_3" });
  });

  it("that tells of its risk stays as it is, and is told of to the pool at once, and once", async () => {
    await put("no_1", "us-east-1/i-01", { state: "healthy" });
    await hello("no_1");
    desk.message(linkOf("no_1"), { type: "at-risk", agoMs: 4_000 }, new Uint8Array(0));
    desk.message(linkOf("no_x"), { type: "at-risk", agoMs: 4_000 }, new Uint8Array(0));
    expect(interruptions).toBe(1);
    expect(nodes.get("no_1")?.stored.node.state).toBe("healthy");
    expect(nodes.sightings().get("no_1")).toMatchObject({ riskSinceMs: nowMs - 4_000 });
    nowMs += 60_000;
    // A link that broke in between says it again; the time is the same.
    desk.message(linkOf("no_1"), { type: "at-risk", agoMs: 64_000 }, new Uint8Array(0));
    expect(nodes.sightings().get("no_1")).toMatchObject({ riskSinceMs: nowMs - 64_000 });
    expect(interruptions).toBe(1);
  });

  it("S24: that tells of its reclaim is cordoned at once, and told of to the pool", async () => {
    await put("no_1", "us-east-1/i-01", { state: "healthy" });
    await hello("no_1");
    desk.message(linkOf("no_1"), { type: "interruption", leftMs: 120_000 }, new Uint8Array(0));
    await expect.poll(() => interruptions).toBe(1);
    expect(nodes.get("no_1")?.stored.node.state).toBe("cordoned");
    expect(nodes.sightings().get("no_1")).toMatchObject({ reclaimAtMs: nowMs + 120_000 });
    nowMs += 5_000;
    desk.message(linkOf("no_1"), { type: "interruption", leftMs: 115_000 }, new Uint8Array(0));
    desk.message(linkOf("no_x"), { type: "interruption", leftMs: 1 }, new Uint8Array(0));
    expect(nodes.sightings().get("no_1")).toMatchObject({ reclaimAtMs: nowMs + 115_000 });
    expect(interruptions).toBe(1);
  });
});
