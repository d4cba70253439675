import { beforeEach, expect, test } from "vitest";
import { countingIds } from "../../core/index.ts";
import type { FunctionOptions, FunctionVariant } from "../../sdk/protocol/index.ts";
import type { Registry } from "../store/record-store.ts";
import { createFakeRegistry } from "./fake-registry.ts";
import { openVariant } from "./variants.ts";

const WHO = { workspaceId: "main", tokenId: "to_1" };
const NONE = new Uint8Array(0);

let registry: Registry;
let ids = countingIds();

beforeEach(async () => {
  registry = createFakeRegistry();
  ids = countingIds();
  await registry.deploy({
    appId: "ap_1",
    workspaceId: "main",
    app: "demo",
    mode: "deployed",
    codeSha256: "c0de",
    functions: [{ functionId: "fn_base", name: "square", spec: { gpu: "L4", maxContainers: 2 } }],
    createdAtMs: 1,
  });
});

const open = (options: FunctionOptions, params = NONE, who = WHO): Promise<FunctionVariant> =>
  openVariant({ store: { registry }, ids }, who, "fn_base", { options, params });

test("a variant has the deployed spec but for its options", async () => {
  const { functionId, name } = await open({ gpu: "H100" });
  expect(name).toMatch(/^square@[0-9a-f]{16}$/);
  expect(await registry.getFunction(functionId)).toMatchObject({
    spec: { gpu: "H100", maxContainers: 2 },
    variant: { base: "square" },
  });
});

test("equal wishes are one variant, in whatever order they are written; others are others", async () => {
  const first = await open({ gpu: "H100", env: { A: "1", B: "2" } });
  const second = await open({ env: { B: "2", A: "1" }, gpu: "H100" });
  expect(second).toEqual(first);
  const params = Uint8Array.from([1]);
  const others = [
    await open({ gpu: "H100" }),
    await open({ gpu: ["H100", "H200"] }),
    await open({ gpu: ["H200", "H100"] }),
    await open({ gpu: "H100", env: { A: "1", B: "2" } }, params),
    await open({}, params),
  ];
  const all = [first, ...others];
  expect(new Set(all.map(({ functionId }) => functionId)).size).toBe(all.length);
});

test("options that do not fit the deployed ones are told by name", async () => {
  await expect(open({ minContainers: 3 })).rejects.toMatchObject({
    code: "invalid_request",
    message: expect.stringMatching(/options of function square: minContainers/) as string,
  });
});

test("a variant of a batched function stays batched, and takes no other number of inputs", async () => {
  const batched = { maxBatchSize: 8, waitMs: 10 };
  await registry.deploy({
    appId: "ap_2",
    workspaceId: "main",
    app: "other",
    mode: "deployed",
    codeSha256: "c0de",
    functions: [{ functionId: "fn_batched", name: "embed", spec: { batched } }],
    createdAtMs: 1,
  });
  const source = { store: { registry }, ids };
  const options = { maxConcurrentInputs: 3 };
  const wish = openVariant(source, WHO, "fn_batched", { options, params: NONE });
  await expect(wish).rejects.toMatchObject({ message: expect.stringMatching(/batched/) as string });
  const params = NONE;
  const more = await openVariant(source, WHO, "fn_batched", { options: { gpu: "L4" }, params });
  expect((await registry.getFunction(more.functionId))?.spec).toEqual({ gpu: "L4", batched });
});

test("another workspace's function is as good as none, and so is one that was stopped", async () => {
  const missing = { code: "not_found" };
  await expect(open({}, NONE, { ...WHO, workspaceId: "other" })).rejects.toMatchObject(missing);
  await registry.stop("ap_1", 2);
  await expect(open({})).rejects.toMatchObject(missing);
});
