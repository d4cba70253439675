import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Node } from "../../core/index.ts";
import type { LiveFunction } from "../calls/function-table.ts";
import { expectedOn } from "./expectations.ts";
import { TestFleet, type TestAgent } from "./test-fleet.ts";

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

/** How many of each function each node expects. */
function countsOf(
  nodes: readonly Node[],
  ...soon: readonly (readonly [LiveFunction, number])[]
): Readonly<Record<string, readonly string[]>> {
  const expected = [...expectedOn(new Map(soon), nodes)];
  return Object.fromEntries(
    expected.map(([nodeId, starts]) => [
      nodeId,
      starts.map(({ functionName, count }) => `${functionName}=${count}`),
    ]),
  );
}

const node = (nodeId: string, changes: Partial<Node> = {}): Node => {
  return { ...agent.node, nodeId, ...changes };
};

describe("which node expects what", () => {
  test("containers are spread over nodes that are the same", async () => {
    const live = await fleet.deploy("f");
    const nodes = [node("no_1"), node("no_2"), node("no_3")];
    expect(countsOf(nodes, [live, 4])).toEqual({ no_1: ["f=2"], no_2: ["f=1"], no_3: ["f=1"] });
  });

  test("a node that has the memory of a function comes before one that has its code", async () => {
    const live = await fleet.deploy("f", { enableMemorySnapshot: true });
    const [start] = expectedOn(new Map([[live, 1]]), [node("no_1")]).get("no_1") ?? [];
    const snapshotId = start?.snapshotId ?? "";
    expect(snapshotId).toMatch(/^[0-9a-f]{64}$/);
    const code = node("no_2", { cachedArtifacts: [live.codeSha256] });
    const memory = node("no_3", { cachedArtifacts: [snapshotId] });
    expect(countsOf([node("no_1"), code], [live, 1])).toEqual({ no_2: ["f=1"] });
    expect(countsOf([node("no_1"), code, memory], [live, 2])).toEqual({ no_3: ["f=2"] });
  });

  test("what is expected has the limits of its function, and reserves what it requests", async () => {
    const live = await fleet.deploy("f", { memoryMiB: { request: 128, limit: 512 } });
    const [start] = expectedOn(new Map([[live, 1]]), [node("no_1")]).get("no_1") ?? [];
    expect(start?.limits).toEqual({ memoryMiB: 512 });
    expect(start?.resources).toEqual({ gpuCount: 0, cpuMilli: 100, memoryMiB: 128 });
  });

  test("a node that takes nothing new expects nothing", async () => {
    const live = await fleet.deploy("f");
    expect(countsOf([node("no_1", { state: "draining" })], [live, 3])).toEqual({});
    expect(countsOf([], [live, 3])).toEqual({});
  });

  test("functions of one name and code in two workspaces are expected each by itself", async () => {
    const mine = await fleet.deploy("f", { enableMemorySnapshot: true });
    const theirs = await fleet.deploy("f", { enableMemorySnapshot: true }, "ws_2");
    expect(countsOf([node("no_1")], [mine, 1], [theirs, 1])).toEqual({ no_1: ["f=1", "f=1"] });
  });

  test("nothing is expected of functions with GPUs", async () => {
    const live = await fleet.deploy("f", { gpu: "H100" });
    expect(countsOf([node("no_1")], [live, 1])).toEqual({});
  });

  test("a node is told of a bounded number of kinds, and of each a bounded number", async () => {
    const all: LiveFunction[] = [];
    for (let at = 0; at < 12; at += 1) all.push(await fleet.deploy(`f${at}`));
    const soon = all.map((live) => [live, 1] as const);
    expect(countsOf([node("no_1")], ...soon)["no_1"]).toHaveLength(8);
    const [live] = all;
    if (live === undefined) throw new Error("one was deployed");
    expect(countsOf([node("no_1")], [live, 5_000])).toEqual({ no_1: ["f0=16"] });
  });
});

describe("telling", () => {
  test("a node hears of a function at work what may be started next, and when that is over", async () => {
    const live = await fleet.deploy("f", {
      env: { KEY: "of the user" },
      scaledownWindowMs: 1_000,
    });
    await fleet.call(live);
    await fleet.until(() => agent.expectations.length > 0, "it is told");
    const [starts = []] = agent.expectations;
    expect(starts).toMatchObject([{ functionName: "f", codeSha256: "c0de", count: 1 }]);
    expect(JSON.stringify(starts)).not.toContain("of the user");
    agent.answer();
    await fleet.until(() => fleet.of(live).length === 0, "its container has ended");
    await fleet.round();
    await fleet.round();
    await fleet.round();
    expect(agent.expectations.at(-1)).toMatchObject([{ functionName: "f", count: 1 }]);
    fleet.clock.now += 6 * 60_000;
    await fleet.until(() => agent.expectations.at(-1)?.length === 0, "it is expected no more");
  });

  test("a node has to do with an image while a container of it runs there, or is expected", async () => {
    const contentId = "c".repeat(64);
    const image = {
      ...{ imageId: "im_1", workspaceId: "ws_2", contentId, steps: [], layerKeys: [], env: {} },
      ...{ workdir: "/", byteCount: 1, createdAtMs: 1, usedAtMs: 1 },
    };
    await fleet.store.images.put(image);
    const live = await fleet.deploy("f", { image: "im_1", scaledownWindowMs: 1_000 }, "ws_2");
    const others = await fleet.deploy("g");
    const workspaces = (): readonly string[] => fleet.placing.workspacesOn("no_1", contentId);
    expect(workspaces()).toEqual([]);
    await fleet.call(others);
    await fleet.until(() => agent.expectations.length > 0, "it has to do with another function");
    expect(workspaces()).toEqual([]);
    await fleet.call(live);
    await fleet.until(() => fleet.of(live).some(({ nodeId }) => nodeId === "no_1"), "it runs");
    expect(workspaces()).toEqual(["ws_2"]);
    expect(fleet.placing.workspacesOn("no_2", contentId)).toEqual([]);
    expect(fleet.placing.workspacesOn("no_1", "d".repeat(64))).toEqual([]);
    agent.answer();
    await fleet.until(() => fleet.of(live).length === 0, "its container has ended");
    await fleet.until(() => workspaces().length === 1, "another may be started there");
    expect(workspaces()).toEqual(["ws_2"]);
    fleet.clock.now += 6 * 60_000;
    await fleet.until(() => workspaces().length === 0, "it is expected no more");
  });

  test("what has not changed is not said again, but to an agent that has come back", async () => {
    const live = await fleet.deploy("f");
    await fleet.call(live);
    for (let round = 0; round < 10; round += 1) await fleet.round();
    expect(agent.expectations).toHaveLength(1);
    await fleet.join(agent);
    for (let round = 0; round < 5; round += 1) await fleet.round();
    expect(agent.expectations).toHaveLength(2);
  });

  test("nodes of functions that nobody calls hear nothing", async () => {
    await fleet.deploy("f");
    for (let round = 0; round < 5; round += 1) await fleet.round();
    expect(agent.expectations).toEqual([]);
  });
});
