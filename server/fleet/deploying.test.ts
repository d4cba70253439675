/** What a new version does to the containers and calls of the one before. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { assert } from "../../core/index.ts";
import type { DeployStrategy } from "../../sdk/protocol/index.ts";
import type { LiveFunction } from "../calls/function-table.ts";
import { TestFleet, type TestAgent } from "./test-fleet.ts";

const SPEC = { cpu: 0.1, memoryMiB: 128, scaledownWindowMs: 1_200_000 } as const;

let fleet: TestFleet;
let agent: TestAgent;

beforeEach(async () => {
  fleet = new TestFleet();
  agent = await fleet.add({ nodeId: "no_1", gpuCount: 0 });
});

afterEach(async () => {
  expect(fleet.errors).toEqual([]);
  await fleet.close();
});

/** The next version of an app, which replaces the one before, as the platform does it. */
async function deploy(
  strategy: DeployStrategy,
  old?: LiveFunction,
  changed: { readonly app?: string; readonly name?: string; readonly minContainers?: number } = {},
): Promise<LiveFunction> {
  const { app = "shop", name = "price", minContainers = 0 } = changed;
  const functionId = fleet.ids.next("fn");
  await fleet.store.registry.deploy({
    appId: fleet.ids.next("ap"),
    workspaceId: "ws_1",
    app,
    mode: "deployed",
    codeSha256: "c0de",
    functions: [{ functionId, name, spec: { ...SPEC, minContainers } }],
    createdAtMs: fleet.clock.nowMs(),
    strategy,
  });
  if (old !== undefined) fleet.calls.functions.retire(old.appId);
  const live = await fleet.calls.functions.get(functionId);
  assert(live !== undefined, "the function was just deployed");
  return live;
}

async function rounds(count: number): Promise<void> {
  for (let round = 0; round < count; round += 1) await fleet.round();
}

async function busy(): Promise<{ readonly old: LiveFunction; readonly first: string }> {
  const old = await deploy("rolling");
  const first = await fleet.call(old);
  await fleet.until(() => fleet.isBusy(old), "the old version works");
  return { old, first };
}

const succeeded = [{ index: 0, outcome: "succeeded", attempts: 1 }];

test("rolling: the new version works while the old one finishes, each call once", async () => {
  const { old, first } = await busy();
  const fresh = await deploy("rolling", old);
  const second = await fleet.call(fresh);
  await fleet.until(() => fleet.isBusy(fresh), "the new version works");
  expect(fleet.isBusy(old)).toBe(true);
  agent.answer();
  await fleet.until(() => fleet.of(old).length === 0, "the old version is gone");
  expect(await fleet.results(first)).toEqual(succeeded);
  expect(await fleet.results(second)).toEqual(succeeded);
});

test("recreate: nothing of the new version runs before the old one has ended", async () => {
  const { old, first } = await busy();
  const fresh = await deploy("recreate", old, { minContainers: 1 });
  const second = await fleet.call(fresh);
  await rounds(20);
  expect(fleet.containers.ofFunction(fresh.functionId)).toEqual([]);
  expect(fresh.pendingReason).toBe("version 1 of app shop ends first (recreate)");
  agent.stops = false;
  agent.answer();
  await rounds(5);
  expect(await fleet.results(first)).toEqual(succeeded);
  // Told to stop and not gone yet: it may still write what only one version may write.
  expect(fleet.containers.ofFunction(old.functionId)).toHaveLength(1);
  expect(fleet.containers.ofFunction(fresh.functionId)).toEqual([]);
  agent.stops = true;
  await fleet.until(() => fleet.isBusy(fresh), "the new version has its turn");
  expect(fleet.containers.ofFunction(old.functionId)).toEqual([]);
  agent.answer();
  await fleet.round();
  expect(await fleet.results(second)).toEqual(succeeded);
});

test("recreate: a function with another name waits for the old version too", async () => {
  const { old } = await busy();
  const fresh = await deploy("recreate", old, { name: "renamed" });
  await fleet.call(fresh);
  await rounds(10);
  expect(fleet.containers.ofFunction(fresh.functionId)).toEqual([]);
  agent.answer();
  await fleet.until(() => fleet.isBusy(fresh), "the renamed function works");
});

test("recreate: other apps are neither waited for nor kept waiting", async () => {
  await busy();
  const other = await deploy("recreate", undefined, { app: "other" });
  await fleet.call(other);
  await fleet.until(() => fleet.isBusy(other), "the other app works");
});

test("recreate: a third version waits for both before it", async () => {
  const { old } = await busy();
  const second = await deploy("recreate", old);
  const queued = await fleet.call(second);
  const third = await deploy("recreate", second);
  const last = await fleet.call(third);
  await rounds(5);
  expect(fleet.containers.ofFunction(third.functionId)).toEqual([]);
  agent.answer();
  await fleet.until(() => fleet.isBusy(second), "the second version runs what it has");
  expect(fleet.containers.ofFunction(third.functionId)).toEqual([]);
  agent.answer();
  await fleet.until(() => fleet.isBusy(third), "the third version has its turn");
  agent.answer();
  await fleet.round();
  expect(await fleet.results(queued)).toEqual(succeeded);
  expect(await fleet.results(last)).toEqual(succeeded);
});

test("recreate: an old version that calls the new one is not waited for", async () => {
  const { old } = await busy();
  const fresh = await deploy("recreate", old);
  const callOf = async (number: number, appId: string): Promise<void> => {
    const header = {
      callId: `ca_${String(number).padStart(26, "z")}`,
      kind: "single",
      sizes: [0],
      final: true,
      waitMs: 0,
    } as const;
    const who = { workspaceId: "ws_1", tokenId: "to_1", appId };
    const { signal } = new AbortController();
    const payloads = [new Uint8Array(0)];
    await fleet.calls.service.create(who, fresh.functionId, header, payloads, signal);
  };
  const stranger = await deploy("rolling", undefined, { app: "other" });
  await callOf(1, stranger.appId);
  await rounds(5);
  expect(fleet.containers.ofFunction(fresh.functionId)).toEqual([]);
  await callOf(2, old.appId);
  await fleet.until(() => fleet.isBusy(fresh), "the new version answers the old one");
  expect(fleet.isBusy(old)).toBe(true);
  const [, newest] = await fleet.store.registry.list("ws_1");
  expect(newest).toMatchObject({ appId: fresh.appId, strategy: "rolling" });
});
