import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createRng, offerIdOf, PlatformError, type Offer } from "../../core/index.ts";
import {
  createFakeProvider,
  createManualClock,
  type FakeProvider,
  type ManualClock,
} from "../../providers/fake/index.ts";
import { openRecordStore } from "../store/sqlite/open.ts";
import type { RecordStore } from "../store/record-store.ts";
import { LocalNode, type LocalNodeOptions } from "./local-node.ts";
import { NodeTable } from "./node-table.ts";

const shape: Omit<Offer, "offerId"> = {
  cloud: "local",
  region: "local",
  instanceType: "this-machine",
  purchase: "on-demand",
  gpuType: "L4",
  resources: { gpuCount: 2, cpuMilli: 8_000, memoryMiB: 32_768 },
  priceMicroUsdPerHour: 250_000,
  reclaimFractionPerHour: 0,
  bootMs: 1_000,
  nodeCountMax: 1,
  quotaGroups: [],
  emulated: true,
};
const offer: Offer = { ...shape, offerId: offerIdOf(shape) };
const LOOK_MS = 500;
const down = new PlatformError("the kernel does not say", { code: "unavailable", retryable: true });

describe("this machine as a node", () => {
  let clock: ManualClock;
  let provider: FakeProvider;
  let store: RecordStore;
  let nodes: NodeTable;
  let local: LocalNode;
  let errors: string[];

  beforeEach(async () => {
    clock = createManualClock(1_000_000);
    provider = createFakeProvider({ clock, rng: createRng(1), offers: [offer], noticeMs: 0 });
    store = openRecordStore(":memory:");
    nodes = new NodeTable(store.nodes);
    errors = [];
    local = open();
  });

  const open = (changes: Partial<LocalNodeOptions> = {}): LocalNode => {
    let tokenCount = 0;
    return new LocalNode({
      nodeId: "no_1",
      isolation: "process",
      provider,
      nodes,
      clusterId: "c",
      userDataFor: async ({ offerId }) => {
        tokenCount += 1;
        return `${offerId} ${tokenCount}`;
      },
      logTail: (machineId) => `the log of ${machineId}`,
      clock,
      onError: (error) => errors.push(error instanceof Error ? error.message : String(error)),
      ...changes,
    });
  };
  afterEach(async () => {
    await local.close();
    await store.close();
  });

  /** Lets a look, and all that it waits for, run to its end. */
  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < 20; turn += 1) await new Promise((done) => setImmediate(done));
  };
  const start = async (): Promise<void> => {
    local.start();
    await settle();
  };
  const look = async (): Promise<void> => {
    await clock.advance(LOOK_MS);
    await settle();
  };
  const live = async () =>
    (await provider.listNodes()).nodes.filter(({ state }) => state !== "terminated");
  const stored = () => nodes.get("no_1")?.stored;

  it("is rented once, as the offer says, with its cluster on it", async () => {
    await start();
    for (let count = 0; count < 10; count += 1) await look();
    const [machine, ...others] = await live();
    expect(others).toEqual([]);
    expect(machine).toMatchObject({ nodeId: "no_1", tags: { "flotilla:cluster": "c" } });
    expect(stored()).toMatchObject({
      clientToken: "no_1-1",
      reason: "this machine is part of the fleet",
      launchedAtMs: 1_000_000,
      node: {
        cloud: "local",
        gpuType: "L4",
        priceMicroUsdPerHour: 250_000,
        state: "booting",
        emulated: true,
        isolation: "process",
        providerNodeId: machine?.providerNodeId,
      },
    });
    // No plan may count it among the machines that it could give up.
    expect(stored()?.node.offerId).toBeUndefined();
  });

  it("is the same node when its agent has ended, under a new token, and rented once more", async () => {
    await start();
    const before = stored()?.node.providerNodeId ?? "";
    await nodes.update("no_1", { state: "healthy" }, clock.nowMs());
    provider.reclaim(before);
    await look();
    expect(await live()).toHaveLength(1);
    expect(stored()).toMatchObject({ clientToken: "no_1-2", node: { state: "healthy" } });
    expect(stored()?.node.providerNodeId).not.toBe(before);
    expect(nodes.all()).toHaveLength(1);
  });

  it("concludes nothing from a listing that fails", async () => {
    await start();
    provider.failNext({ operation: "listNodes", error: down, when: "before" });
    await look();
    await look();
    expect(errors).toEqual([down.message]);
    expect(stored()?.clientToken).toBe("no_1-1");
    expect(await live()).toHaveLength(1);
  });

  it("leaves no machine of a rent whose answer was lost", async () => {
    provider.failNext({ operation: "rent", error: down, when: "after" });
    await start();
    await look();
    expect(stored()).toMatchObject({ clientToken: "no_1-2" });
    expect((await live()).map(({ clientToken }) => clientToken)).toEqual(["no_1-2"]);
  });

  it("gives the machine back when it is closed", async () => {
    await start();
    await local.close();
    expect(await live()).toEqual([]);
  });

  it("is joined as soon as its agent is there", async () => {
    await start();
    const joined = local.untilJoined();
    const record = nodes.get("no_1");
    if (record !== undefined) record.connected = true;
    await clock.advance(10);
    await expect(joined).resolves.toBeUndefined();
  });

  /** As if this platform had been killed: the next one finds the machine and takes it over. */
  const takeOver = async (): Promise<string> => {
    await start();
    const leftMachineId = stored()?.node.providerNodeId ?? "";
    await nodes.update("no_1", { state: "healthy" }, clock.nowMs());
    local = open({ leftMachineId });
    await start();
    return leftMachineId;
  };

  it("is taken over as it was left, and rented by nobody anew", async () => {
    const machineId = await takeOver();
    const joined = local.untilJoined();
    const record = nodes.get("no_1");
    if (record !== undefined) record.connected = true;
    await clock.advance(10);
    await joined;
    // Its agent may be away for a while again.
    await look();
    if (record !== undefined) record.connected = false;
    await clock.advance(60_000);
    await look();
    expect((await live()).map(({ providerNodeId }) => providerNodeId)).toEqual([machineId]);
    expect(stored()).toMatchObject({ clientToken: "no_1-1", node: { state: "healthy" } });
    await local.close();
    expect(await live()).toEqual([]);
  });

  it("is rented anew when the agent that was left has ended, which fails no start", async () => {
    await start();
    const leftMachineId = stored()?.node.providerNodeId ?? "";
    provider.reclaim(leftMachineId);
    local = open({ leftMachineId });
    await start();
    expect(stored()).toMatchObject({ clientToken: "no_1-2" });
    const joined = local.untilJoined();
    const record = nodes.get("no_1");
    if (record !== undefined) record.connected = true;
    await clock.advance(10);
    await expect(joined).resolves.toBeUndefined();
  });

  it("is given back and rented anew when the agent that was left does not come back", async () => {
    const machineId = await takeOver();
    await clock.advance(15_000);
    await settle();
    expect((await live()).map(({ providerNodeId }) => providerNodeId)).toEqual([machineId]);
    await look();
    const [machine, ...others] = await live();
    expect(others).toEqual([]);
    expect(machine?.providerNodeId).not.toBe(machineId);
    expect(stored()).toMatchObject({ clientToken: "no_1-2" });
    // What follows is a start like any other.
    provider.reclaim(machine?.providerNodeId ?? "");
    expect(await joinFailure()).toMatchObject({
      message: expect.stringContaining("ended at its start") as string,
    });
  });

  const joinFailure = async (): Promise<unknown> => {
    const joined = local.untilJoined().catch((error: unknown) => error);
    await look();
    await clock.advance(10);
    return joined;
  };

  it("fails to join, with the end of the log, when its agent ends instead", async () => {
    await start();
    const machineId = stored()?.node.providerNodeId ?? "";
    provider.reclaim(machineId);
    expect(await joinFailure()).toMatchObject({
      code: "unavailable",
      message: expect.stringMatching(/ended at its start.*doctor.*\nthe log of fake-/) as string,
    });
  });

  it("fails to join when the machine is not to be had", async () => {
    provider.setCapacity(offer.offerId, 0);
    await start();
    expect(await joinFailure()).toMatchObject({
      message: expect.stringMatching(/cannot start: cannot rent this machine.*no_1: no /) as string,
    });
  });

  it("fails to join after a minute", async () => {
    await start();
    const joined = local.untilJoined().catch((error: unknown) => error);
    await clock.advance(60_011);
    expect(await joined).toMatchObject({
      message: expect.stringContaining("has not joined after 60 s") as string,
    });
  });
});
