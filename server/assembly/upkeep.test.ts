import { afterEach, beforeEach, expect, test } from "vitest";
import { TestFleet } from "../fleet/test-fleet.ts";
import { Upkeep } from "./upkeep.ts";

let fleet: TestFleet;

beforeEach(() => {
  fleet = new TestFleet();
});

afterEach(async () => {
  expect(fleet.errors).toEqual([]);
  await fleet.close();
});

test("inputs whose writing took effect without an answer are queued, whoever asks again or not", async () => {
  const live = await fleet.deploy("slow");
  const agent = await fleet.add({ nodeId: "no_1", gpuCount: 0 });
  const { ledger } = fleet.store;
  const accept = ledger.acceptInputs.bind(ledger);
  let callId = "";
  ledger.acceptInputs = async (inputs) => {
    ledger.acceptInputs = accept;
    callId = inputs.call.callId;
    await accept(inputs);
    throw new Error("the answer was lost");
  };
  await expect(fleet.call(live, 3)).rejects.toThrow("the answer was lost");

  const upkeep = new Upkeep({
    store: fleet.store,
    calls: fleet.calls,
    apps: { expireLeases: () => Promise.resolve([]) },
  });
  await upkeep.run(fleet.clock.now);
  await fleet.until(() => {
    agent.answer();
    return live.open.openCount === 0;
  }, "all inputs have run");
  const results = await fleet.results(callId);
  expect(results.map(({ outcome }) => outcome)).toEqual(["succeeded", "succeeded", "succeeded"]);
});

test("chunks are collected each hour, first an hour after the start, whatever the clock does", async () => {
  let collections = 0;
  const upkeep = new Upkeep({
    store: fleet.store,
    calls: fleet.calls,
    apps: { expireLeases: () => Promise.resolve([]) },
    collectChunks: () => {
      collections += 1;
      return Promise.resolve();
    },
  });
  const hourMs = 3_600_000;
  const startMs = 50 * hourMs;
  const seen: number[] = [];
  for (const atMs of [0, hourMs - 1, hourMs, hourMs + 1, 2 * hourMs, -10 * hourMs, -10 * hourMs]) {
    await upkeep.run(startMs + atMs);
    seen.push(collections);
  }
  expect(seen).toEqual([0, 0, 1, 1, 2, 3, 3]);
});
