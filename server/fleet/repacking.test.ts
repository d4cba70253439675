import fc from "fast-check";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createRng, DEFAULT_SCHEDULER_POLICY, type RepackPolicy } from "../../core/index.ts";
import type { LiveFunction } from "../calls/function-table.ts";
import { surplusNodeIds } from "./repack-goal.ts";
import { TestFleet, type TestAgent } from "./test-fleet.ts";

const GPU = { gpu: "H100", scaledownWindowMs: 1_200_000 } as const;
const REPACK: RepackPolicy = {
  ...DEFAULT_SCHEDULER_POLICY.repack,
  allowed: true,
  everyMs: 1_000,
  drainTimeoutMs: 5_000,
};

let fleet: TestFleet;
let agents: readonly TestAgent[];

const open = async (repack: Partial<RepackPolicy> = {}): Promise<void> => {
  fleet = new TestFleet({ repack: { ...REPACK, ...repack } });
  agents = [
    await fleet.add({ nodeId: "no_1", gpuCount: 2 }),
    await fleet.add({ nodeId: "no_2", gpuCount: 2 }),
  ];
};

beforeEach(async () => {
  await open();
});

afterEach(async () => {
  expect(fleet.errors).toEqual([]);
  await fleet.close();
});

const ready = (live: LiveFunction) => fleet.of(live).filter(({ state }) => state === "ready");
const nodesOf = (live: LiveFunction) => ready(live).map(({ nodeId }) => nodeId);

/** A function with one container on each node, each beside an unused card. */
const spreadOut = async (): Promise<LiveFunction> => {
  const small = await fleet.deploy("small", { ...GPU, minContainers: 4 });
  await fleet.until(() => ready(small).length === 4, "both nodes are full");
  small.spec = { ...small.spec, minContainers: 2 };
  for (const nodeId of ["no_1", "no_2"]) {
    const [one] = fleet.of(small).filter((container) => container.nodeId === nodeId);
    if (one !== undefined) fleet.placing.desk.stop(one, "to make a hole");
  }
  await fleet.until(() => fleet.containers.all().length === 2, "each node has one");
  return small;
};

const reasons = (kind: "container.placed" | "container.exited"): readonly string[] =>
  fleet.events.flatMap((event) => (event.kind === kind ? [event.reason] : []));

const rounds = async (count: number, check: () => void = () => undefined): Promise<void> => {
  for (let round = 0; round < count; round += 1) {
    await fleet.round();
    check();
  }
};

test("a container moves so that a large one fits, and is never missing meanwhile", async () => {
  const small = await spreadOut();
  const old = new Set(fleet.of(small).map(({ containerId }) => containerId));
  const large = await fleet.deploy("large", { ...GPU, gpu: "H100:2" });
  const callId = await fleet.call(large);
  for (let round = 0; round < 100 && !fleet.isBusy(large); round += 1) {
    await fleet.round();
    expect(ready(small).length).toBeGreaterThanOrEqual(2);
  }
  expect(fleet.isBusy(large)).toBe(true);
  expect(new Set(nodesOf(small)).size).toBe(1);
  expect(ready(small)).toHaveLength(2);
  const moved = [...old].filter((containerId) => fleet.containers.get(containerId) === undefined);
  expect(moved).toHaveLength(1);
  expect(reasons("container.placed").at(-2)).toMatch(
    new RegExp(`^moves ${moved[0] ?? ""} here from no_\\d: makes room for co_`),
  );
  expect(reasons("container.exited").at(-1)).toMatch(/^moved to no_\d as co_\S+: makes room for/);
  for (const agent of agents) agent.answer();
  await rounds(3);
  expect(await fleet.results(callId)).toMatchObject([{ outcome: "succeeded", attempts: 1 }]);
});

test("a working container finishes what it has on its old node; what comes goes to the new one", async () => {
  const small = await spreadOut();
  // One run of half a second tells how long an input takes.
  for (const agent of agents) agent.runMs = 600;
  await fleet.call(small, 2);
  await fleet.until(() => small.dispatcher.runningCount === 2, "both work");
  for (const agent of agents) agent.answer();
  await rounds(2);
  const callId = await fleet.call(small, 2);
  await fleet.until(() => small.dispatcher.runningCount === 2, "both work again");
  const large = await fleet.deploy("large", { ...GPU, gpu: "H100:2" });
  await fleet.call(large);
  await fleet.until(
    () => fleet.containers.all().some((one) => one.replacedBy !== undefined),
    "a move",
  );
  const old = fleet.containers.all().find((one) => one.replacedBy !== undefined);
  const newId = old?.replacedBy ?? "";
  await fleet.until(() => fleet.containers.get(newId)?.state === "ready", "the new one is ready");
  await rounds(3);
  expect(small.dispatcher.inflightCount(old?.containerId ?? "")).toBe(1);
  const later = await fleet.call(small);
  await fleet.until(() => small.dispatcher.inflightCount(newId) === 1, "the new one works");
  expect(fleet.isBusy(large)).toBe(false);
  for (const agent of agents) agent.answer();
  await fleet.until(() => fleet.isBusy(large), "the large one works");
  for (const agent of agents) agent.answer();
  await rounds(3);
  for (const id of [callId, later]) {
    for (const result of await fleet.results(id)) {
      expect(result).toMatchObject({ outcome: "succeeded", attempts: 1 });
    }
  }
  expect(await fleet.results(callId)).toHaveLength(2);
  expect(await fleet.results(later)).toHaveLength(1);
});

test("a container that does not finish in time stays, and its replacement goes", async () => {
  const small = await spreadOut();
  for (const agent of agents) agent.runMs = 600;
  await fleet.call(small, 2);
  await fleet.until(() => small.dispatcher.runningCount === 2, "both work");
  for (const agent of agents) agent.answer();
  await rounds(2);
  const before = fleet.of(small).map(({ containerId }) => containerId);
  await fleet.call(small, 2);
  await fleet.until(() => small.dispatcher.runningCount === 2, "both work again");
  const large = await fleet.deploy("large", { ...GPU, gpu: "H100:2" });
  await fleet.call(large);
  const isGivenUp = (): boolean =>
    reasons("container.exited").some((reason) => /given up/.test(reason));
  await fleet.until(isGivenUp, "the move is given up");
  expect(reasons("container.exited").find((reason) => /given up/.test(reason))).toMatch(
    /^the move of co_\S+ was given up: its inputs did not end within 5000 ms$/,
  );
  for (const containerId of before) {
    expect(fleet.containers.get(containerId)).toMatchObject({
      state: "ready",
      replacedBy: undefined,
    });
  }
  // It takes inputs again.
  for (const agent of agents) agent.answer();
  await fleet.round();
  await fleet.call(small, 2);
  await fleet.until(() => small.dispatcher.runningCount === 2, "both work");
});

test("when the other node refuses, everything stays as it was", async () => {
  const small = await spreadOut();
  const before = fleet.of(small).map(({ containerId }) => containerId);
  for (const agent of agents) agent.refuses = "its runtime is broken";
  const large = await fleet.deploy("large", { ...GPU, gpu: "H100:2" });
  await fleet.call(large);
  await rounds(40, () => {
    expect(ready(small).map(({ containerId }) => containerId)).toEqual(before);
  });
  expect(fleet.containers.ofFunction(small.functionId).length).toBeLessThanOrEqual(3);
  for (const agent of agents) agent.refuses = undefined;
  await fleet.until(() => fleet.isBusy(large), "it works once they take containers again");
});

test("a node of which the plan wants fewer is emptied, and only then", async () => {
  const small = await spreadOut();
  fleet.desired = [{ offerId: "offer", count: 2 }];
  await rounds(30);
  expect(new Set(nodesOf(small)).size).toBe(2);
  fleet.desired = [{ offerId: "offer", count: 1 }];
  await fleet.until(() => new Set(nodesOf(small)).size === 1, "one node is empty");
  await rounds(2);
  expect(reasons("container.exited").at(-1)).toMatch(/^moved to .*: empties its node for release$/);
  const [home] = nodesOf(small);
  await rounds(60);
  expect(nodesOf(small)).toEqual([home, home]);
});

test.each([
  ["moving is not allowed", { allowed: false }],
  ["the budget has no moves", { moveCountMax: 0 }],
  ["the budget has no GPUs", { gpuCountMax: 0 }],
  ["it is not time yet", { everyMs: 3_600_000 }],
] as const)("nothing moves while %s", async (_, repack) => {
  await fleet.close();
  await open(repack);
  const small = await spreadOut();
  const before = fleet.of(small).map(({ containerId }) => containerId);
  const large = await fleet.deploy("large", { ...GPU, gpu: "H100:2" });
  await fleet.call(large);
  await rounds(50);
  expect(fleet.of(small).map(({ containerId }) => containerId)).toEqual(before);
  expect(fleet.isBusy(large)).toBe(false);
});

test("what a workspace with a hard limit has is not moved: it would have it twice for a moment", async () => {
  await fleet.close();
  fleet = new TestFleet({ repack: REPACK, quotas: { ws_1: { gpuCountMax: 8 } } });
  agents = [
    await fleet.add({ nodeId: "no_1", gpuCount: 2 }),
    await fleet.add({ nodeId: "no_2", gpuCount: 2 }),
  ];
  const small = await spreadOut();
  fleet.desired = [{ offerId: "offer", count: 1 }];
  await rounds(30);
  expect(new Set(nodesOf(small)).size).toBe(2);
});

test("whatever moves while calls come and go, each input gets one result and no card is given twice", async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer(), async (seed) => {
      const rng = createRng(seed);
      const one = new TestFleet({ repack: { ...REPACK, everyMs: 300, drainTimeoutMs: 700 } }, seed);
      const nodes = [1, 2, 4].map((gpuCount) => ({ nodeId: `no_${gpuCount}`, gpuCount }));
      for (const node of nodes) (await one.add(node)).runMs = 600;
      const lives = [
        await one.deploy("single", { gpu: "H100", scaledownWindowMs: 2_000, minContainers: 2 }),
        await one.deploy("pair", { gpu: "H100:2", scaledownWindowMs: 2_000 }),
        await one.deploy("quad", { gpu: "H100:4", scaledownWindowMs: 2_000, priority: 1 }),
      ] as const;
      const calls = new Map<string, number>();
      for (let round = 0; round < 150; round += 1) {
        if (round < 60 && rng.next() < 0.2) {
          const inputs = 1 + rng.below(3);
          calls.set(await one.call(lives[rng.below(3)] ?? lives[0], inputs), inputs);
        }
        one.desired = [{ offerId: "offer", count: rng.below(4) }];
        await one.round();
        for (const agent of one.agents.values()) {
          const cards = [...agent.held.values()].flatMap(({ start }) => start.cards ?? []);
          expect(new Set(cards).size).toBe(cards.length);
          if (rng.next() < 0.4 || round > 100) agent.answer();
        }
      }
      for (const [callId, inputs] of calls) {
        const results = await one.results(callId);
        expect(results.map(({ index }) => index).toSorted()).toEqual(
          Array.from({ length: inputs }, (_, index) => index),
        );
        expect(results.every(({ outcome }) => outcome === "succeeded")).toBe(true);
      }
      expect(one.errors).toEqual([]);
      await one.close();
    }),
    { numRuns: 12 },
  );
});

test("surplus is counted by offer; what is empty, not rented or not healthy is left out", () => {
  const nodes = fleet.nodes.schedulable();
  const [one, two] = nodes;
  if (one === undefined || two === undefined) throw new Error("there are two nodes");
  const desired = [{ offerId: "offer", count: 1 }];
  const check = (
    some: Parameters<typeof surplusNodeIds>[0],
    wanted: Parameters<typeof surplusNodeIds>[1],
    empty: readonly string[] = [],
  ): readonly string[] => [...surplusNodeIds(some, wanted, (nodeId) => empty.includes(nodeId))];
  expect(check(nodes, desired)).toEqual(["no_1", "no_2"]);
  expect(check(nodes, [])).toEqual(["no_1", "no_2"]);
  expect(check(nodes, undefined)).toEqual([]);
  expect(check(nodes, desired, ["no_2"])).toEqual([]);
  expect(check([one, { ...two, state: "draining" }], desired)).toEqual([]);
  expect(check([one, { ...two, cloud: "local" }], desired)).toEqual([]);
  expect(check([one, { ...two, offerId: "other" }], desired)).toEqual(["no_2"]);
});
