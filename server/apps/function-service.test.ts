import { beforeEach, expect, test } from "vitest";
import { countingIds } from "../../core/index.ts";
import type {
  FunctionOptions,
  FunctionScaling,
  FunctionSpec,
  ScalingUpdate,
} from "../../sdk/protocol/index.ts";
import type { FunctionService } from "../services.ts";
import type { Registry, StoredFunction } from "../store/record-store.ts";
import { createFakeRegistry } from "./fake-registry.ts";
import { functionInfoOf } from "./find-function.ts";
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

async function variantOf(name: string, options: FunctionOptions): Promise<string> {
  const base = await registry.findFunction("main", "demo", name);
  const wish = { options, params: new Uint8Array(0) };
  return (await functions.openVariant(WHO, base?.functionId ?? "", wish)).functionId;
}

async function scalingOf(functionId: string): Promise<Partial<FunctionScaling>> {
  const stored = await registry.getFunction(functionId);
  if (stored === undefined) throw new Error(`${functionId} is missing`);
  return functionInfoOf(stored, { backlog: 0, containers: 0 }).scaling;
}

test("variants follow their function in what they have in common with it, and in nothing else", async () => {
  const roomy = await variantOf("square", { memoryMiB: 512 });
  const small = await variantOf("square", { maxContainers: 1 });
  const cubes = await variantOf("cube", { memoryMiB: 512 });
  await functions.scale(WHO, "demo", "square", { minContainers: 2, maxContainers: 4 });
  expect(await scalingOf(roomy)).toMatchObject({ minContainers: 2, maxContainers: 4 });
  // The floor ends at a limit that is the variant's own.
  expect(await scalingOf(small)).toMatchObject({ minContainers: 1, maxContainers: 1 });
  expect(await scalingOf(cubes)).toMatchObject({ minContainers: 0, maxContainers: 8, updated: [] });
  expect(scaled.map(({ functionId }) => functionId)).toHaveLength(3);
  await functions.scale(WHO, "demo", "square", { maxContainers: 6 });
  expect(await scalingOf(roomy)).toMatchObject({ minContainers: 2, maxContainers: 6 });
});

test("a variant that is opened later begins with what was updated, but for its own options", async () => {
  await functions.scale(WHO, "demo", "square", { minContainers: 2, bufferContainers: 3 });
  const late = await variantOf("square", { bufferContainers: 1 });
  expect(await scalingOf(late)).toMatchObject({ minContainers: 2, bufferContainers: 1 });
  await functions.scale(WHO, "demo", "square", { minContainers: 4, bufferContainers: 0 });
  expect(await scalingOf(late)).toMatchObject({ minContainers: 4, bufferContainers: 1 });
});

test("by its id a variant is scaled alone, in its own workspace and while it runs", async () => {
  const roomy = await variantOf("square", { memoryMiB: 512 });
  const update = { minContainers: 1 };
  expect((await functions.scaleById(WHO, roomy, update)).scaling).toMatchObject(update);
  const base = await registry.findFunction("main", "demo", "square");
  expect(await scalingOf(base?.functionId ?? "")).toMatchObject({ minContainers: 0, updated: [] });
  const missing = { code: "not_found" };
  await expect(functions.scaleById(STRANGER, roomy, update)).rejects.toMatchObject(missing);
  await expect(functions.scaleById(WHO, "fn_none", update)).rejects.toMatchObject(missing);
  await deploy({});
  await expect(functions.scaleById(WHO, roomy, update)).rejects.toMatchObject(missing);
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
