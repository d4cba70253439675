import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import {
  flyOne,
  readWorld,
  type RunSpec,
  type SimulationResult,
} from "../../../simulations/index.ts";
import { Crew, type CrewTask } from "./crew.ts";
import { flyPolicies, type Keeping } from "./fly-policies.ts";
import type { ProgressScreen } from "./progress.ts";
import { RunStore } from "./run-store.ts";
import { SCENARIO } from "./test-scenario.ts";

let folder = "";
let spec: RunSpec;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "flotilla-simulate-"));
  const scenario = join(folder, "small.yaml");
  writeFileSync(scenario, SCENARIO);
  spec = { scenario };
});
beforeEach(() => rmSync(join(folder, "runs"), { recursive: true, force: true }));
afterAll(() => rmSync(folder, { recursive: true }));

/** The results of a call, and what it said. */
async function fly(
  threadCount: number,
  store?: RunStore,
): Promise<{ results: readonly SimulationResult[]; said: string; keeping: Keeping }> {
  let said = "";
  const write = (text: string): void => void (said += text);
  const screen: ProgressScreen = { isLive: false, widthColumns: 100, write };
  const crew = new Crew(threadCount);
  const keeping: Keeping = { keptCount: 0 };
  try {
    const results = await flyPolicies(
      {
        spec,
        world: readWorld(spec),
        policies: ["reactive", "tuned-reactive", "static"],
        seeds: [1, 2],
      },
      { crew, screen, keeping, ...(store === undefined ? {} : { store }) },
    );
    return { results, said, keeping };
  } finally {
    await crew.close();
  }
}

test("one thread and two give the same bytes, in the order of the policies", async () => {
  const one = await fly(1);
  const two = await fly(2);
  expect(JSON.stringify(two.results)).toBe(JSON.stringify(one.results));
  expect(one.results.map(({ policy, seed }) => [policy, seed])).toEqual([
    ...[["reactive", 1] as const, ["reactive", 2] as const],
    ...[["tuned-reactive", 1] as const, ["tuned-reactive", 2] as const],
    ...[["static", 1] as const, ["static", 2] as const],
  ]);
  expect(one.said).toMatch(/• tuned-reactive: of 24 settings on the first half, the best is /);
});

test("the tuned policy is the same whether its setting was found in threads or in one run", async () => {
  const { results } = await fly(2);
  const alone = await flyOne(spec, { policyName: "tuned-reactive", seed: 2 });
  expect(results[3]).toEqual(alone);
});

test("a second call with the same state flies nothing and gives the same bytes", async () => {
  const first = await fly(2, await RunStore.open(folder, "code"));
  const second = await fly(2, await RunStore.open(folder, "code"));
  expect(JSON.stringify(second.results)).toBe(JSON.stringify(first.results));
  expect(second.said).not.toContain(": done");
  expect(second.said).toContain("28 of 28 runs were flown before");
  expect(second.keeping.keptCount).toBe(30);
});

test("other code, files, specs, seeds and settings are other runs; a cut file is no run", async () => {
  const store = await RunStore.open(folder, "code");
  const task: CrewTask = { spec, order: { policyName: "static", seed: 1 } };
  const result = await flyOne(task.spec, task.order);
  await store.put(task, result);
  expect(await store.get(task)).toEqual(result);
  expect(await store.get({ order: { seed: 1, policyName: "static" }, spec })).toEqual(result);
  const reactive = { utilizationTarget: 1, holdMs: 0, bufferContainers: 0 };
  for (const other of [
    { ...task, spec: { ...spec, hours: 0.5 } },
    { ...task, order: { policyName: "static", seed: 2 } },
    { ...task, order: { policyName: "reactive", seed: 1 } },
    { ...task, order: { ...task.order, overrides: { reactive } } },
    { ...task, order: { ...task.order, span: { fromMs: 0, untilMs: 1 } } },
  ]) {
    expect(await store.get(other), JSON.stringify(other)).toBeUndefined();
  }
  const newer = await RunStore.open(folder, "newer code");
  expect(await newer.get(task)).toBeUndefined();
  const files = readdirSync(join(folder, "runs"));
  expect(files).toHaveLength(1);
  const [file = ""] = files;
  const path = join(folder, "runs", file);
  writeFileSync(path, readFileSync(path, "utf8").slice(0, -100));
  expect(await store.get(task)).toBeUndefined();
});

test("a run that is refused says why, and ends the others", async () => {
  const crew = new Crew(2);
  const task = (seed: number, policyName: string): CrewTask => ({
    spec,
    order: { policyName, seed },
  });
  const flown = crew.fly([task(1, "static"), task(1, "nonsense"), task(2, "static")]);
  await expect(flown).rejects.toMatchObject({ code: "invalid_request" });
});

test("an aborted crew gives the reason, and leaves no thread that flies", async () => {
  const stopping = new AbortController();
  const crew = new Crew(2, stopping.signal);
  const reason = new Error("enough");
  const flown = crew.fly([{ spec, order: { policyName: "flotilla", seed: 1 } }], {
    onStart: () => queueMicrotask(() => stopping.abort(reason)),
  });
  await expect(flown).rejects.toBe(reason);
});

test("how far a run is goes with it: under its own name, and away when it is done", async () => {
  const store = await RunStore.open(folder, "code 1");
  const task: CrewTask = { spec, order: { policyName: "static", seed: 7 } };
  const { checkpointFile = "" } = store.withCheckpoint(task);
  const other = store.withCheckpoint({ ...task, order: { ...task.order, seed: 8 } });
  expect(other.checkpointFile).not.toBe(checkpointFile);
  const later = await RunStore.open(folder, "code 2");
  expect(later.withCheckpoint(task).checkpointFile).not.toBe(checkpointFile);
  writeFileSync(checkpointFile, "");
  await store.put(task, await flyOne(spec, task.order));
  expect(readdirSync(join(folder, "runs")).filter((name) => name.endsWith(".flight"))).toEqual([]);
  expect(await store.get(store.withCheckpoint(task))).toBeDefined();
});
