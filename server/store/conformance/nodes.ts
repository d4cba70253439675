/** Nodes with their bills, and the plans. */
import { expect, it } from "vitest";
import { aNode, anOffer, type OpenBench } from "./samples.ts";

const HOUR_MS = 3_600_000;

/** Declares the suite of `RecordStore.nodes`. */
export function testNodes(bench: OpenBench): void {
  testRecords(bench);
  testBills(bench);
  testSpend(bench);
}

function testRecords({ store, reopen }: OpenBench): void {
  it("gives a node back as it was put, also after it was opened again", async () => {
    const wanted = aNode("no_1");
    const ended = aNode("no_2", { launchedAtMs: 2_000, terminatedAtMs: 3_000, gpuMsUsed: 0.5 });
    for (const node of [wanted, ended]) await store().nodes.put(node);
    for (const open of [store, reopen]) {
      const { nodes } = await open();
      expect(await nodes.get("no_1")).toEqual(wanted);
      expect(await nodes.get("no_2")).toEqual(ended);
      expect(await nodes.get("no_none")).toBeUndefined();
    }
  });

  it("replaces a node that is put again, and never takes back what was used", async () => {
    const { nodes } = store();
    await nodes.put(aNode("no_1"));
    await nodes.addGpuUse("no_1", 500);
    const launched = aNode("no_1", { launchedAtMs: 2_000 }, { state: "healthy" });
    await nodes.put(launched);
    expect(await nodes.get("no_1")).toEqual({ ...launched, gpuMsUsed: 500 });
  });

  it("keeps the request a node is part of until it is put without it", async () => {
    const batch = { nodeIds: ["no_1", "no_2"], offers: [anOffer()] };
    const waiting = ["no_1", "no_2"].map((nodeId) => aNode(nodeId, { batch }));
    await store().nodes.put(...waiting);
    const { nodes } = await reopen();
    expect(await nodes.listOpen()).toEqual(waiting);
    const joined = aNode("no_1", { joinedAtMs: 5_000, drainByMs: 9_000 });
    await nodes.put(joined);
    expect(await nodes.get("no_1")).toEqual(joined);
  });

  it("finds nodes by their machines, their ids and their tokens, ended ones too", async () => {
    const { nodes } = store();
    const machine = { providerNodeId: "us-east-1/i-1" };
    await nodes.put(aNode("no_a", { clientToken: "t-a", terminatedAtMs: 9_000 }, machine));
    await nodes.put(aNode("no_b", { clientToken: "t-b" }));
    await nodes.put(aNode("no_c", { clientToken: "t-b" }));
    const idsOf = async (traces: Partial<Parameters<typeof nodes.findByMachine>[0]>) => {
      const none = { providerNodeIds: [], nodeIds: [], clientTokens: [] };
      return (await nodes.findByMachine({ ...none, ...traces })).map(({ node }) => node.nodeId);
    };
    expect(await idsOf({})).toEqual([]);
    expect(await idsOf({ providerNodeIds: ["us-east-1/i-1", "us-east-1/i-2"] })).toEqual(["no_a"]);
    expect(await idsOf({ clientTokens: ["t-b"] })).toEqual(["no_b", "no_c"]);
    expect(await idsOf({ nodeIds: ["no_a", "no_x"], clientTokens: ["t-a"] })).toEqual(["no_a"]);
  });

  it("lists the nodes that are not terminated, oldest first", async () => {
    const { nodes } = store();
    await nodes.put(aNode("no_a", { requestedAtMs: 3_000 }));
    await nodes.put(aNode("no_c", { requestedAtMs: 2_000 }));
    await nodes.put(aNode("no_b", { requestedAtMs: 2_000, launchedAtMs: 2_500 }));
    await nodes.put(aNode("no_d", { terminatedAtMs: 2_500 }));
    const open = await nodes.listOpen();
    expect(open.map(({ node }) => node.nodeId)).toEqual(["no_b", "no_c", "no_a"]);
  });
}

function testBills({ store, reopen }: OpenBench): void {
  it("adds nothing up at first", async () => {
    expect(await store().nodes.firstLaunchedAtMs()).toBeUndefined();
    expect(await store().nodes.totals(9_000)).toEqual({
      gpuMsPaid: 0,
      gpuMsUsed: 0,
      costMicroUsd: 0,
    });
  });

  it("bills a node from its launch to its release and not a moment longer", async () => {
    const { nodes } = store();
    await nodes.put(aNode("no_1"));
    expect(await nodes.totals(5_000)).toMatchObject({ gpuMsPaid: 0, costMicroUsd: 0 });
    await nodes.put(aNode("no_1", { launchedAtMs: 2_000 }));
    expect(await nodes.totals(5_000)).toMatchObject({ gpuMsPaid: 6_000, costMicroUsd: 3_000 });
    await nodes.put(aNode("no_1", { launchedAtMs: 2_000, terminatedAtMs: 6_000 }));
    for (const nowMs of [6_000, 60_000]) {
      expect(await nodes.totals(nowMs)).toMatchObject({ gpuMsPaid: 8_000, costMicroUsd: 4_000 });
    }
  });

  it("bills nothing for a launch that lies in the future", async () => {
    const { nodes } = store();
    await nodes.put(aNode("no_1", { launchedAtMs: 8_000 }));
    expect(await nodes.totals(5_000)).toMatchObject({ gpuMsPaid: 0, costMicroUsd: 0 });
  });

  it("sums whole micro-dollars, each node rounded for itself", async () => {
    const { nodes } = store();
    // 1 ms at 0.6 micro-dollars a millisecond: 0.6, which is 1 for each.
    for (const nodeId of ["no_1", "no_2", "no_3"]) {
      const bill = { launchedAtMs: 2_000, terminatedAtMs: 2_001 };
      await nodes.put(aNode(nodeId, bill, { priceMicroUsdPerHour: 0.6 * HOUR_MS }));
    }
    expect(await nodes.totals(9_000)).toMatchObject({ costMicroUsd: 3 });
  });

  it("stays exact for a dear node over a year", async () => {
    const { nodes } = store();
    const yearMs = 365 * 24 * HOUR_MS;
    await nodes.put(aNode("no_1", { launchedAtMs: 0 }, { priceMicroUsdPerHour: 98_765_431 }));
    expect(await nodes.totals(yearMs)).toEqual({
      gpuMsPaid: 2 * yearMs,
      gpuMsUsed: 0,
      costMicroUsd: 365 * 24 * 98_765_431,
    });
  });

  it("adds up all GPU time used, also when it is told at the same time", async () => {
    await store().nodes.put(aNode("no_1", { launchedAtMs: 2_000 }));
    const { nodes } = store();
    await Promise.all([
      ...[1, 2, 3, 4].map((gpuMs) => nodes.addGpuUse("no_1", gpuMs)),
      nodes.addGpuUse("no_none", 100),
    ]);
    const reopened = await reopen();
    expect(await reopened.nodes.totals(3_000)).toMatchObject({ gpuMsPaid: 2_000, gpuMsUsed: 10 });
  });
}

/** What is asked of bills by time. */
function testSpend({ store }: OpenBench): void {
  it("says what a time cost, so that times which follow each other add up", async () => {
    const { nodes } = store();
    // 0.6 micro-dollars a millisecond: rounding each time for itself would lose or add some.
    const price = { priceMicroUsdPerHour: 0.6 * HOUR_MS };
    await nodes.put(aNode("no_1", { launchedAtMs: 2_000, terminatedAtMs: 2_011 }, price));
    await nodes.put(aNode("no_2", { launchedAtMs: 2_004 }, price));
    await nodes.put(aNode("no_3", {}, price));
    expect(await nodes.firstLaunchedAtMs()).toBe(2_000);
    let sum = 0;
    for (let fromMs = 1_990; fromMs < 2_050; fromMs += 1) {
      sum += await nodes.spend(fromMs, fromMs + 1);
    }
    expect(sum).toBe(Math.round(11 * 0.6) + Math.round(46 * 0.6));
    expect(await nodes.spend(1_990, 2_050)).toBe(sum);
    expect(await nodes.spend(0, 2_000)).toBe(0);
    expect(await nodes.spend(3_000, 2_500)).toBe(0);
    const { costMicroUsd } = await nodes.totals(2_050);
    expect(await nodes.spend(0, 2_050)).toBe(costMicroUsd);
  });
}

/** Declares the suite of `RecordStore.plans`. */
export function testPlans({ store, reopen }: OpenBench): void {
  it("gives the plan that was appended last, with its reasons", async () => {
    expect(await store().plans.latest()).toBeUndefined();
    await store().plans.append({ planId: "pl_1", atMs: 2_000, plan: { lines: [] } });
    const second = { planId: "pl_2", atMs: 1_000, plan: { lines: [{ reason: "cheapest" }] } };
    await store().plans.append(second);
    for (const open of [store, reopen]) {
      const { plans } = await open();
      expect(await plans.latest()).toEqual(second);
    }
  });

  it("keeps the plan of an id once", async () => {
    const { plans } = store();
    await plans.append({ planId: "pl_1", atMs: 1_000, plan: 1 });
    await expect(plans.append({ planId: "pl_1", atMs: 2_000, plan: 2 })).rejects.toMatchObject({
      code: "conflict",
    });
    expect(await plans.latest()).toMatchObject({ plan: 1 });
  });
}
