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

test("blobs are swept every ten minutes, first ten minutes after the start", async () => {
  const { store, clock } = fleet;
  const sweeps: number[] = [];
  const upkeep = new Upkeep({
    store,
    calls: fleet.calls,
    apps: { expireLeases: () => Promise.resolve([]) },
    sweepBlobs: () => {
      sweeps.push(clock.now);
      return Promise.resolve();
    },
  });
  const startMs = clock.now;
  for (const atMs of [0, 599_999, 600_000, 1_199_999, 1_200_000]) {
    clock.now = startMs + atMs;
    await upkeep.run(clock.now);
  }
  expect(sweeps.map((atMs) => atMs - startMs)).toEqual([600_000, 1_200_000]);
});

test("calls are removed 7 days after their end, and not those that still run", async () => {
  const live = await fleet.deploy("slow");
  const agent = await fleet.add({ nodeId: "no_1", gpuCount: 0 });
  const ended = await fleet.call(live, 1);
  await fleet.until(() => {
    agent.answer();
    return live.open.openCount === 0;
  }, "the input has run");
  const running = await fleet.call(live, 1);
  const { store, clock, calls } = fleet;
  const apps = { expireLeases: () => Promise.resolve([]) };
  const upkeep = new Upkeep({ store, calls, apps });
  const endMs = clock.now;
  const weekMs = 7 * 24 * 3_600_000;
  for (const [afterMs, isThere] of [
    [weekMs - 60_000, true],
    [weekMs + 60_000, false],
  ] as const) {
    clock.now = endMs + afterMs;
    await upkeep.run(clock.now);
    expect((await store.calls.get(ended)) !== undefined).toBe(isThere);
  }
  expect(await store.calls.get(running)).toMatchObject({ state: "running" });
});
