import { afterEach, beforeEach, expect, test } from "vitest";
import { ATTEMPTS_MAX } from "../calls/function-dispatcher.ts";
import { TestFleet, type TestAgent } from "./test-fleet.ts";

const GPU = { gpu: "H100", scaledownWindowMs: 1_200_000 } as const;

let fleet: TestFleet;
let agent: TestAgent;

beforeEach(async () => {
  fleet = new TestFleet();
  agent = await fleet.add({ nodeId: "no_1", gpuCount: 1 });
});

afterEach(async () => {
  expect(fleet.errors).toEqual([]);
  await fleet.close();
});

const ended = () => fleet.events.filter(({ kind }) => kind === "container.exited");

test("a more important call ends a less important one, which still gets its one result", async () => {
  const low = await fleet.deploy("low", GPU);
  const high = await fleet.deploy("high", { ...GPU, priority: 10 });
  const first = await fleet.call(low);
  await fleet.until(() => fleet.isBusy(low), "the less important one works");
  const second = await fleet.call(high);
  await fleet.until(() => fleet.isBusy(high), "the more important one works");
  expect(fleet.of(low)).toEqual([]);
  expect(ended()).toMatchObject([
    { reason: "evicted: app-high/high has priority 10 over 0 and waits for its room" },
  ]);
  agent.answer();
  await fleet.until(() => fleet.isBusy(low), "the less important one has its turn");
  agent.answer();
  await fleet.round();
  expect(await fleet.results(second)).toEqual([{ index: 0, outcome: "succeeded", attempts: 1 }]);
  expect(await fleet.results(first)).toEqual([{ index: 0, outcome: "succeeded", attempts: 2 }]);
  const [input] = await fleet.store.ledger.loadInputs([{ callId: first, index: 0 }]);
  expect(input).toMatchObject({ attempts: 2, excusedAttempts: 1 });
});

test("however often a call is evicted, it is not given up", async () => {
  const low = await fleet.deploy("low", GPU);
  const high = await fleet.deploy("high", { ...GPU, priority: 1 });
  const patient = await fleet.call(low);
  for (let time = 0; time < ATTEMPTS_MAX + 2; time += 1) {
    await fleet.until(() => fleet.isBusy(low), "the less important one works");
    await fleet.call(high);
    await fleet.until(() => fleet.isBusy(high), "the more important one works");
    agent.answer();
    await fleet.round();
  }
  await fleet.until(() => fleet.isBusy(low), "the less important one works");
  agent.answer();
  await fleet.round();
  expect(await fleet.results(patient)).toEqual([
    { index: 0, outcome: "succeeded", attempts: ATTEMPTS_MAX + 3 },
  ]);
});

test("neither an equal nor what may not be interrupted is ended", async () => {
  const equal = await fleet.deploy("equal", { ...GPU, priority: 5 });
  const high = await fleet.deploy("high", { ...GPU, priority: 5 });
  await fleet.call(equal);
  await fleet.until(() => fleet.isBusy(equal), "it works");
  await fleet.call(high);
  for (let round = 0; round < 10; round += 1) await fleet.round();
  expect(ended()).toEqual([]);
  expect(fleet.isBusy(high)).toBe(false);
  agent.answer();
  const steady = await fleet.deploy("steady", { ...GPU, preemptible: false, priority: -1 });
  await fleet.until(() => fleet.isBusy(high), "the equal one's slot is given up");
  agent.answer();
  await fleet.call(steady);
  await fleet.until(() => fleet.isBusy(steady), "it works");
  const count = ended().length;
  await fleet.call(high);
  for (let round = 0; round < 10; round += 1) await fleet.round();
  expect(ended()).toHaveLength(count);
  expect(fleet.isBusy(steady)).toBe(true);
});

test("an idle container is given up before a working one, even a more important one's", async () => {
  const other = await fleet.add({ nodeId: "no_2", gpuCount: 1 });
  const low = await fleet.deploy("low", GPU);
  const warm = await fleet.deploy("warm", { ...GPU, priority: 20 });
  const high = await fleet.deploy("high", { ...GPU, priority: 10 });
  await fleet.call(low);
  await fleet.until(() => fleet.isBusy(low), "it works");
  await fleet.call(warm);
  await fleet.until(() => fleet.isBusy(warm), "it works");
  for (const one of [agent, other]) {
    const [held] = one.held.values();
    if (held?.start.functionName === "warm") one.answer();
  }
  await fleet.until(() => !fleet.isBusy(warm), "it is idle");
  await fleet.call(high);
  await fleet.until(() => fleet.isBusy(high), "it works");
  expect(fleet.isBusy(low)).toBe(true);
  expect(fleet.of(warm)).toEqual([]);
});

test("the room goes to the one for whom it was made, though another workspace wants it too", async () => {
  const low = await fleet.deploy("low", GPU);
  const high = await fleet.deploy("high", { ...GPU, priority: 10 });
  await fleet.call(low);
  await fleet.until(() => fleet.isBusy(low), "it works");
  await fleet.call(high);
  agent.stops = false;
  await fleet.round();
  await fleet.round();
  expect(fleet.of(low)).toEqual([]);
  expect(fleet.containers.ofFunction(high.functionId)).toMatchObject([
    // It waits for that room and asks for no machine.
    { state: "pending", isOwed: true, pendingReason: undefined },
  ]);
  const stranger = await fleet.deploy("stranger", GPU, "ws_0");
  await fleet.call(stranger);
  await fleet.round();
  agent.stops = true;
  await fleet.until(() => fleet.of(high).length + fleet.of(stranger).length > 0, "one is placed");
  expect(fleet.of(stranger)).toEqual([]);
  expect(fleet.of(high)).toMatchObject([{ isOwed: false, cards: [0] }]);
});

test("a workspace takes back what it is guaranteed from one that borrowed it", async () => {
  const shared = new TestFleet({
    quotas: { ws_1: { guaranteedFraction: 0.5 }, ws_2: { guaranteedFraction: 0.5 } },
  });
  const node = await shared.add({ nodeId: "no_1", gpuCount: 2 });
  const borrower = await shared.deploy("borrower", GPU, "ws_2");
  await shared.call(borrower, 2);
  await shared.until(() => borrower.dispatcher.runningCount === 2, "it holds both");
  const owner = await shared.deploy("owner", GPU, "ws_1");
  await shared.call(owner);
  await shared.until(() => shared.isBusy(owner), "the owner has its half");
  expect(shared.of(borrower)).toHaveLength(1);
  const reasons = shared.events.flatMap((event) =>
    event.kind === "container.exited" ? [event.reason] : [],
  );
  expect(reasons).toEqual([
    "evicted: app-owner/owner takes back what workspace ws_1 is guaranteed and waits for its room",
  ]);
  node.answer();
  await shared.close();
});

test("where a quota binds nobody is ended, no machine is asked for, and the call says why", async () => {
  const limited = new TestFleet({ quotas: { ws_1: { gpuCountMax: 1 } } });
  const node = await limited.add({ nodeId: "no_1", gpuCount: 1 });
  await limited.add({ nodeId: "no_2", gpuCount: 1 });
  const idle = await limited.deploy("idle", GPU);
  await limited.call(idle);
  await limited.until(() => limited.isBusy(idle), "it works");
  const high = await limited.deploy("high", { ...GPU, priority: 9 });
  const callId = await limited.call(high);
  for (let round = 0; round < 5; round += 1) await limited.round();
  const who = { workspaceId: "ws_1", tokenId: "to_1" };
  expect(await limited.calls.service.status(who, callId)).toMatchObject({
    pendingReason: "workspace ws_1 may hold 1 GPUs",
  });
  const [waiting] = limited.containers.ofFunction(high.functionId);
  expect(waiting).toMatchObject({ state: "pending", wantsRoom: false });
  expect(limited.of(idle)).toHaveLength(1);
  expect(node.held.size).toBeLessThanOrEqual(1);
  await limited.close();
});
