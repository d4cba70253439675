import { afterEach, expect, test } from "vitest";
import { TestFleet } from "../fleet/test-fleet.ts";
import { Upkeep } from "./upkeep.ts";

const fleet = new TestFleet();

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
