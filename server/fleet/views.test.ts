import { expect, test } from "vitest";
import type { FunctionTable } from "../calls/function-table.ts";
import { aNode } from "../store/conformance/samples.ts";
import { openRecordStore } from "../store/sqlite/open.ts";
import { createManualClock } from "../../providers/fake/index.ts";
import { ContainerTable } from "./container-table.ts";
import { NodeTable } from "./node-table.ts";
import { createFleetService } from "./views.ts";

type Parts = Parameters<typeof createFleetService>[0];

function serviceOf(parts: Pick<Parts, "store" | "nodes" | "clock"> & Partial<Parts>) {
  return createFleetService({
    containers: new ContainerTable(),
    // What these tests are not about: functions.
    functions: {} as unknown as FunctionTable,
    version: "1",
    startedAtMs: 0,
    stop: () => undefined,
    latestPlan: () => undefined,
    unfit: () => new Map(),
    ...parts,
  });
}

test("what a node's containers ask is put off until its agent has said which it has", async () => {
  const store = openRecordStore(":memory:");
  const clock = createManualClock(1_000);
  const nodes = new NodeTable(store.nodes);
  await nodes.put([aNode("no_1", {}, {})], clock.nowMs());
  const service = serviceOf({ store, nodes, clock });
  const asked = (): unknown => service.ownerOf("no_1", "co_1");
  expect(asked).toThrow(expect.objectContaining({ code: "unavailable", retryable: true }));
  const record = nodes.get("no_1");
  if (record !== undefined) record.hasToldContainers = true;
  expect(asked()).toBeUndefined();
  expect(service.ownerOf("no_2", "co_1")).toBeUndefined();
  await store.close();
});

test("nodes are listed with what their agents and the pool found broken, each fault once", async () => {
  const store = openRecordStore(":memory:");
  const clock = createManualClock(1_000);
  const nodes = new NodeTable(store.nodes);
  for (const nodeId of ["no_well", "no_agent", "no_pool", "no_both"]) {
    await nodes.put([aNode(nodeId, {}, {})], clock.nowMs());
  }
  const note = (nodeId: string, ...faults: readonly string[]): void => {
    const record = nodes.get(nodeId);
    if (record !== undefined) record.faults = faults;
  };
  note("no_agent", "GPU 0 is lost", "the disk is full");
  note("no_both", "GPU 0 is lost", "the disk is full");
  const unfit = new Map([
    ["no_both", "GPU 0 is lost"],
    ["no_pool", "it has 7 of the 8 GPUs of its offer"],
  ]);
  const service = serviceOf({ store, nodes, clock, unfit: () => unfit });
  const listed = await service.nodes();
  expect(Object.fromEntries(listed.map(({ nodeId, faults }) => [nodeId, faults]))).toEqual({
    no_well: [],
    no_agent: ["GPU 0 is lost", "the disk is full"],
    no_pool: ["it has 7 of the 8 GPUs of its offer"],
    no_both: ["GPU 0 is lost", "the disk is full"],
  });
  await store.close();
});
