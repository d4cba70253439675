import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import { createRng, type Rng } from "../../core/index.ts";
import { TestFleet, type TestAgent } from "./test-fleet.ts";

const GPU = { gpu: "H100", scaledownWindowMs: 1_200_000 } as const;

const fleets: TestFleet[] = [];

const open = (...options: ConstructorParameters<typeof TestFleet>): TestFleet => {
  const fleet = new TestFleet(...options);
  fleets.push(fleet);
  return fleet;
};

afterEach(async () => {
  for (const fleet of fleets.splice(0)) {
    expect(fleet.errors).toEqual([]);
    await fleet.close();
  }
});

describe("cards", () => {
  test("each container starts on the cards that its placement chose, none on another's", async () => {
    const fleet = open();
    const agent = await fleet.add({ nodeId: "no_1", gpuCount: 4 });
    const single = await fleet.deploy("single", GPU);
    const pair = await fleet.deploy("pair", { ...GPU, gpu: "H100:2" });
    await fleet.call(single, 2);
    await fleet.call(pair);
    await fleet.until(() => fleet.of(single).length + fleet.of(pair).length === 3, "all run");
    const started = [...agent.held.values()].map(({ start }) => start);
    const cards = started.flatMap((start) => start.cards ?? []);
    expect(cards.toSorted()).toEqual([0, 1, 2, 3]);
    for (const { containerId, cards: own } of started) {
      expect(fleet.containers.get(containerId)?.cards).toEqual(own);
    }
  });

  test("a server that starts again learns from the agents which cards are taken", async () => {
    const before = open();
    const agent = await before.add({ nodeId: "no_1", gpuCount: 3 });
    const live = await before.deploy("single", GPU);
    await before.call(live, 3);
    await before.until(() => agent.held.size === 3, "all cards are taken");
    const [first, second] = [...agent.held.values()];
    const firstId = first?.start.containerId ?? "";
    const secondId = second?.start.containerId ?? "";
    const freed = first?.start.cards;
    await before.until(() => before.containers.get(firstId)?.state === "ready", "it is ready");
    agent.answer();
    const stopped = before.containers.get(firstId);
    if (stopped !== undefined) before.placing.desk.stop(stopped, "to make a hole");
    await before.until(() => !agent.held.has(firstId), "it has ended");

    const after = open();
    // The same function under the same id: both servers count from one.
    const again = await after.deploy("single", GPU);
    expect(again.functionId).toBe(live.functionId);
    await after.join(agent);
    expect(after.containers.get(secondId)).toMatchObject({ cards: second?.start.cards });
    const other = await after.deploy("other", GPU);
    await after.call(other);
    await after.until(() => after.of(other).length === 1, "it is placed");
    await after.round();
    expect(after.of(other)).toMatchObject([{ cards: freed, state: "ready" }]);
    expect(agent.held.get(after.of(other)[0]?.containerId ?? "")?.start.cards).toEqual(freed);
  });
});

describe("code", () => {
  test("a container goes where its code is, among nodes that are alike otherwise", async () => {
    const fleet = open();
    for (const nodeId of ["no_1", "no_2", "no_3"]) await fleet.add({ nodeId, gpuCount: 8 });
    const elsewhere = await fleet.deploy("elsewhere", GPU);
    await fleet.call(elsewhere);
    await fleet.until(() => fleet.of(elsewhere).length === 1, "it is placed");
    expect(fleet.of(elsewhere)).toMatchObject([{ nodeId: "no_1" }]);
    await fleet.until(() => fleet.isBusy(elsewhere), "it works");
    fleet.agents.get("no_1")?.answer();
    await fleet.round();
    for (const { containerId } of fleet.of(elsewhere)) {
      const container = fleet.containers.get(containerId);
      if (container !== undefined) fleet.placing.desk.stop(container, "to start again");
    }
    await fleet.until(() => fleet.containers.all().length === 0, "it has ended");
    fleet.nodes.noteArtifact("no_3", elsewhere.codeSha256);
    await fleet.call(elsewhere);
    await fleet.until(() => fleet.of(elsewhere).length === 1, "it is placed again");
    expect(fleet.of(elsewhere)).toMatchObject([{ nodeId: "no_3" }]);
  });

  test("a node is the same object until something about it changes, and remembers 64 artifacts", async () => {
    const fleet = open();
    await fleet.add({ nodeId: "no_1", gpuCount: 1 });
    const { nodes } = fleet;
    const [bare] = nodes.schedulable();
    expect(nodes.schedulable()[0]).toBe(bare);
    for (let count = 0; count < 70; count += 1) nodes.noteArtifact("no_1", `hash-${count}`);
    nodes.noteArtifact("no_1", "hash-10");
    const [full] = nodes.schedulable();
    expect(full?.cachedArtifacts).toHaveLength(64);
    expect(full?.cachedArtifacts?.at(-1)).toBe("hash-10");
    expect(nodes.schedulable()[0]).toBe(full);
    await nodes.update("no_1", { state: "cordoned" }, fleet.clock.nowMs());
    expect(nodes.schedulable()[0]).toMatchObject({
      state: "cordoned",
      cachedArtifacts: full?.cachedArtifacts,
    });
  });
});

describe("workspaces", () => {
  test.each([
    ["alike", {}, [2, 2]],
    ["by weight", { quotas: { ws_1: { weight: 3 } } }, [3, 1]],
    ["within limits", { quotas: { ws_1: { gpuCountMax: 1 } } }, [1, 3]],
  ] as const)("share a fleet that is too small for both: %s", async (_, policy, counts) => {
    const fleet = open(policy);
    await fleet.add({ nodeId: "no_1", gpuCount: 4 });
    const lives = [
      await fleet.deploy("one", { ...GPU, minContainers: 4 }, "ws_1"),
      await fleet.deploy("two", { ...GPU, minContainers: 4 }, "ws_2"),
    ];
    for (let round = 0; round < 3; round += 1) await fleet.round();
    expect(lives.map((live) => fleet.of(live).length)).toEqual(counts);
  });
});

describe("two servers over one fleet", () => {
  /** What is held never exceeds what a node has, whatever was asked of it. */
  const expectWithin = (agent: TestAgent): void => {
    const used = Array.from({ length: agent.node.resources.gpuCount }, () => 0);
    for (const { start } of agent.held.values()) {
      for (const card of start.cards ?? []) used[card] = (used[card] ?? Number.NaN) + 1;
    }
    for (const count of used) expect(count).toBeLessThanOrEqual(1);
    const cpuMilli = [...agent.held.values()].reduce(
      (sum, { start }) => sum + start.resources.cpuMilli,
      0,
    );
    expect(cpuMilli).toBeLessThanOrEqual(agent.node.resources.cpuMilli);
  };

  interface Asked {
    readonly server: TestFleet;
    readonly callId: string;
    readonly inputs: number;
  }

  /** Two servers that both believe the three nodes to be theirs, and the calls made to each. */
  const openBoth = async (rng: Rng): Promise<[TestFleet[], TestAgent[], Asked[]]> => {
    const servers = [open({}, rng.fork("one").next()), open({}, rng.fork("two").next())];
    const [first, second] = servers;
    if (first === undefined || second === undefined) throw new Error("there are two");
    const agents: TestAgent[] = [];
    for (const gpuCount of [1, 2, 4]) {
      agents.push(await first.add({ nodeId: `no_${gpuCount}`, gpuCount }));
    }
    for (const agent of agents) await second.join(agent);
    // Ids count up from one on each: kept apart, as random ones are.
    for (let id = 0; id < 200; id += 1) second.ids.next("co");
    const asked: Asked[] = [];
    for (const server of servers) {
      for (const gpu of ["H100", "H100:2"] as const) {
        const live = await server.deploy(gpu.replace(":", "x"), { gpu, scaledownWindowMs: 2_000 });
        const inputs = 1 + rng.below(6);
        asked.push({ server, callId: await server.call(live, inputs), inputs });
      }
    }
    return [servers, agents, asked];
  };

  const isFinished = async (asked: readonly Asked[]): Promise<boolean> => {
    const counts = await Promise.all(asked.map(({ server, callId }) => server.results(callId)));
    return asked.every(({ inputs }, position) => counts[position]?.length === inputs);
  };

  test("they never overcommit a node, and every call of both gets its one result", async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer(), async (seed) => {
        const rng = createRng(seed);
        const [servers, agents, asked] = await openBoth(rng);
        for (let round = 0; round < 400 && !(await isFinished(asked)); round += 1) {
          await servers[rng.below(2)]?.round();
          for (const agent of agents) {
            expectWithin(agent);
            if (rng.next() < 0.3) agent.answer();
          }
          for (const server of servers) server.clock.now += 500;
        }
        for (const { server, callId, inputs } of asked) {
          const results = await server.results(callId);
          expect(results.map(({ index }) => index).toSorted()).toEqual(
            Array.from({ length: inputs }, (_, index) => index),
          );
        }
      }),
      { numRuns: 10 },
    );
  });
});

describe("a node that refuses", () => {
  test("is left alone for a while, and those refused do not all go for the same next one", async () => {
    const fleet = open();
    const agents: TestAgent[] = [];
    for (let node = 0; node < 8; node += 1) {
      agents.push(await fleet.add({ nodeId: `no_${node}`, gpuCount: 8 }));
    }
    const live = await fleet.deploy("many", { ...GPU, minContainers: 8 });
    await fleet.placing.tick();
    const [first] = new Set(fleet.of(live).map(({ nodeId }) => nodeId));
    const refusing = fleet.agents.get(first ?? "");
    if (refusing === undefined) throw new Error("they are placed on one of the nodes");
    expect(fleet.of(live).every(({ nodeId }) => nodeId === first)).toBe(true);
    refusing.refuses = "its disk is full";
    await fleet.round();
    expect(refusing.asked).toHaveLength(8);
    await fleet.round();
    await fleet.round();
    const others = agents.filter((agent) => agent !== refusing);
    const counts = others.map(({ asked }) => asked.length);
    // Each asks one other node once, and no node is asked by all.
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(8);
    expect(Math.max(...counts)).toBeLessThan(8);
    expect(refusing.asked).toHaveLength(8);
    expect(fleet.of(live).filter(({ state }) => state === "ready")).toHaveLength(8);
  });

  test("when every node refuses, each is asked once in a while and not in every round", async () => {
    const fleet = open();
    const agents = [
      await fleet.add({ nodeId: "no_1", gpuCount: 1 }),
      await fleet.add({ nodeId: "no_2", gpuCount: 1 }),
    ];
    for (const agent of agents) agent.refuses = "its runtime is broken";
    const live = await fleet.deploy("one", { ...GPU, minContainers: 1 });
    for (let round = 0; round < 100; round += 1) await fleet.round();
    // Ten seconds have passed; a node that refused rests for five.
    for (const { asked } of agents) {
      expect(asked.length).toBeGreaterThanOrEqual(2);
      expect(asked.length).toBeLessThanOrEqual(3);
    }
    for (const agent of agents) agent.refuses = undefined;
    await fleet.until(() => fleet.of(live).some(({ state }) => state === "ready"), "it runs");
  });
});
