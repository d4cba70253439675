import { beforeEach, expect, test } from "vitest";
import { countingIds } from "../../core/index.ts";
import type { FunctionSpec, ScalingUpdate } from "../../sdk/protocol/index.ts";
import type { FunctionService } from "../services.ts";
import type { Registry, StoredFunction } from "../store/record-store.ts";
import { createFakeRegistry } from "./fake-registry.ts";
import { createFunctionService } from "./function-service.ts";

const WHO = { workspaceId: "main", tokenId: "to_1" };
const STRANGER = { workspaceId: "other", tokenId: "to_2" };

let registry: Registry;
let scaled: StoredFunction[];
let functions: FunctionService;
let ids = countingIds();

beforeEach(async () => {
  registry = createFakeRegistry();
  ids = countingIds();
  scaled = [];
  functions = createFunctionService({
    ids,
    store: { registry },
    fleet: { functionLoad: () => ({ backlog: 3, containers: 2 }) },
    onScaled: async (stored) => void scaled.push(await Promise.resolve(stored)),
  });
  await deploy({ gpu: "L4", maxContainers: 8 });
});

async function deploy(spec: FunctionSpec, app = "demo"): Promise<void> {
  const named = ["square", "cube"].map((name) => ({ name, spec, functionId: ids.next("fn") }));
  await registry.deploy({
    appId: ids.next("ap"),
    workspaceId: WHO.workspaceId,
    app,
    mode: "deployed",
    codeSha256: "c0de",
    functions: named,
    createdAtMs: 1,
  });
}

test("an update changes what it names and leaves the rest, spec included", async () => {
  const first = await functions.scale(WHO, "demo", "square", { minContainers: 2 });
  expect(first.scaling).toEqual({
    minContainers: 2,
    maxContainers: 8,
    bufferContainers: 0,
    scaledownWindowMs: 60_000,
    updated: ["minContainers"],
  });
  const second = await functions.scale(WHO, "demo", "square", { scaledownWindowMs: 5_000 });
  expect(second.scaling).toMatchObject({ minContainers: 2, scaledownWindowMs: 5_000 });
  expect(second.scaling.updated).toEqual(["minContainers", "scaledownWindowMs"]);
  expect(second.spec).toEqual({ gpu: "L4", maxContainers: 8 });
  expect(scaled.map(({ scaling }) => scaling)).toEqual([
    { minContainers: 2 },
    { minContainers: 2, scaledownWindowMs: 5_000 },
  ]);
});

test("the next deployment drops what was updated", async () => {
  await functions.scale(WHO, "demo", "square", { minContainers: 2 });
  await deploy({ gpu: "L4" });
  const [, square] = await functions.list(WHO, "demo");
  expect(square).toMatchObject({ name: "square", version: 2 });
  expect(square?.scaling).toMatchObject({ minContainers: 0, updated: [] });
});

test("updates at the same time are all kept", async () => {
  await Promise.all([
    functions.scale(WHO, "demo", "square", { minContainers: 1 }),
    functions.scale(WHO, "demo", "square", { bufferContainers: 2 }),
    functions.scale(WHO, "demo", "square", { maxContainers: 5 }),
  ]);
  const [, square] = await functions.list(WHO);
  expect(square?.scaling).toMatchObject({
    minContainers: 1,
    bufferContainers: 2,
    maxContainers: 5,
  });
});

test("the functions of all deployed apps are listed by name, or those of one", async () => {
  await deploy({}, "another");
  const names = async (app?: string): Promise<readonly string[]> =>
    (await functions.list(WHO, app)).map((each) => `${each.app}/${each.name}`);
  expect(await names()).toEqual(["another/cube", "another/square", "demo/cube", "demo/square"]);
  expect(await names("demo")).toEqual(["demo/cube", "demo/square"]);
  await expect(functions.list(WHO, "dmo")).rejects.toThrow("did you mean demo?");
  expect(await functions.list(STRANGER)).toEqual([]);
});

test.each<[ScalingUpdate, RegExp]>([
  [{}, /nothing to change: give minContainers/],
  [{ minContainers: 9 }, /minContainers \(9\) would be above maxContainers \(8\)/],
  [{ minContainers: -1 }, /scaling demo\/square: minContainers/],
  [{ maxContainers: 0 }, /maxContainers/],
  [{ scaledownWindowMs: 1_999 }, /scaledownWindowMs/],
  [{ gpu: "H100" } as ScalingUpdate, /gpu/],
])("%j is refused", async (update, message) => {
  const attempt = functions.scale(WHO, "demo", "square", update);
  await expect(attempt).rejects.toMatchObject({ code: "invalid_request" });
  await expect(functions.scale(WHO, "demo", "square", update)).rejects.toThrow(message);
  expect(scaled).toEqual([]);
});

test("a function that is not there, or another workspace's, is not found", async () => {
  const update = { minContainers: 1 };
  await expect(functions.scale(WHO, "demo", "sqare", update)).rejects.toThrow(/mean square\?/);
  await expect(functions.scale(STRANGER, "demo", "square", update)).rejects.toMatchObject({
    code: "not_found",
  });
});
