import { beforeEach, describe, expect, test } from "vitest";
import { countingIds, messageOf } from "../../core/index.ts";
import type { DeployRequest, FunctionSpec } from "../../sdk/protocol/index.ts";
import { createAppService, EPHEMERAL_LEASE_MS, type ManagedApps } from "./app-service.ts";
import type { StoredImage, StoredToken } from "../store/record-store.ts";
import { createFakeRegistry } from "./fake-registry.ts";

const CODE = "a".repeat(64);
const WHO = { workspaceId: "main", tokenId: "to_1" };
const STRANGER = { workspaceId: "other", tokenId: "to_2" };

const IMAGE = "c".repeat(64);
const findImage = (workspaceId: string, imageId: string) =>
  Promise.resolve(
    workspaceId === "main" && images.has(imageId) ? ({ imageId } as StoredImage) : undefined,
  );

const tokens = {
  list: () => Promise.resolve([{ tokenId: "to_1", name: "laptop" } as StoredToken]),
};

/** Of another workspace. */
const OTHERS_CODE = "f".repeat(64);
const blobOwners = {
  add: () => Promise.resolve(),
  has: (_workspaceId: string, sha256: string) => Promise.resolve(sha256 !== OTHERS_CODE),
};

let blobs: Set<string>;
let images: Set<string>;
let nowMs: number;
let apps: ManagedApps;
let deployed: string[];
let stopped: string[];
let reasons: string[];

beforeEach(() => {
  nowMs = 1_000;
  blobs = new Set([CODE]);
  images = new Set([IMAGE]);
  deployed = [];
  stopped = [];
  reasons = [];
  apps = createAppService({
    store: { registry: createFakeRegistry(), images: { find: findImage }, tokens, blobOwners },
    secrets: { checkDeployment: () => Promise.resolve(), keepOwn: () => Promise.resolve() },
    volumes: { checkDeployment: () => Promise.resolve() },
    blobs: { has: async (sha256) => blobs.has(sha256) },
    fleet: { functionLoad: () => ({ backlog: 3, containers: 2 }) },
    clock: { nowMs: () => nowMs },
    ids: countingIds(),
    workspaceIds: [],
    onDeployed: ({ appId }) => deployed.push(appId),
    onStopped: (appId, why) => {
      stopped.push(appId);
      reasons.push(why);
    },
  });
});

const request = (changed: Partial<DeployRequest> = {}): DeployRequest => ({
  mode: "deployed",
  codeSha256: CODE,
  functions: [{ name: "square", spec: { gpu: "H100" } }],
  ...changed,
});

test("code that only another workspace has sent is refused like code that nobody has", async () => {
  blobs.add(OTHERS_CODE);
  const messages = await Promise.all(
    [OTHERS_CODE, "e".repeat(64)].map(async (codeSha256) => {
      const refused = apps.deploy(WHO, "demo", request({ codeSha256 }));
      await expect(refused).rejects.toMatchObject({ code: "invalid_request" });
      return refused.catch((error: unknown) => messageOf(error).replaceAll(codeSha256, "HASH"));
    }),
  );
  expect(new Set(messages).size).toBe(1);
});

test("a deployed app is found by name with its spec and its load", async () => {
  const deployment = await apps.deploy(WHO, "demo", request());
  expect(deployment).toMatchObject({ app: "demo", version: 1, leaseMs: EPHEMERAL_LEASE_MS });
  expect(deployed).toEqual([deployment.appId]);
  expect(await apps.lookup(WHO, "demo", "square")).toEqual({
    functionId: deployment.functions[0]?.functionId,
    app: "demo",
    appId: deployment.appId,
    name: "square",
    version: 1,
    spec: { gpu: "H100" },
    scaling: {
      minContainers: 0,
      maxContainers: 100,
      bufferContainers: 0,
      scaledownWindowMs: 60_000,
      updated: [],
    },
    backlog: 3,
    containers: 2,
  });
});

test("deploying again replaces the version and announces the end of the old one once", async () => {
  const first = await apps.deploy(WHO, "demo", request());
  const second = await apps.deploy(WHO, "demo", request());
  expect(second.version).toBe(2);
  expect(stopped).toEqual([first.appId]);
  expect(await apps.list(WHO)).toMatchObject([{ appId: second.appId, state: "running" }]);
});

test("deployments of one app at the same time leave one version running", async () => {
  const all = await Promise.all(
    Array.from({ length: 10 }, () => apps.deploy(WHO, "demo", request())),
  );
  const [running] = await apps.list(WHO);
  const ended = all.map(({ appId }) => appId).filter((appId) => appId !== running?.appId);
  expect([...stopped].sort()).toEqual(ended.sort());
});

test("another workspace sees, stops and renews nothing", async () => {
  const { appId } = await apps.deploy(WHO, "demo", request({ mode: "ephemeral" }));
  expect(await apps.list(STRANGER)).toEqual([]);
  for (const attempt of [
    apps.stop(STRANGER, appId),
    apps.stop(STRANGER, "demo"),
    apps.heartbeat(STRANGER, appId),
    apps.lookup(STRANGER, "demo", "square"),
  ]) {
    await expect(attempt).rejects.toMatchObject({ code: "not_found" });
  }
  expect(stopped).toEqual([]);
});

test("an ephemeral app lives as long as its owner sends heartbeats", async () => {
  const { appId } = await apps.deploy(WHO, "demo", request({ mode: "ephemeral" }));
  nowMs += EPHEMERAL_LEASE_MS - 1;
  expect(await apps.expireLeases(nowMs)).toEqual([]);
  await apps.heartbeat(WHO, appId);
  nowMs += EPHEMERAL_LEASE_MS - 1;
  expect(await apps.expireLeases(nowMs)).toEqual([]);
  nowMs += 1;
  expect(await apps.expireLeases(nowMs)).toEqual([appId]);
  expect(stopped).toEqual([appId]);
  await expect(apps.heartbeat(WHO, appId)).rejects.toMatchObject({ code: "conflict" });
});

test("a deployed app needs no heartbeat", async () => {
  await apps.deploy(WHO, "demo", request());
  expect(await apps.expireLeases(nowMs + 10 * EPHEMERAL_LEASE_MS)).toEqual([]);
});

test("stopping twice is stopping once", async () => {
  const { appId } = await apps.deploy(WHO, "demo", request());
  expect(await apps.stop(WHO, "demo")).toMatchObject({ appId, state: "stopped" });
  expect(await apps.stop(WHO, appId)).toMatchObject({ appId, state: "stopped" });
  expect(stopped).toEqual([appId]);
});

test("a listing shows what runs and the last version of what was stopped", async () => {
  await apps.deploy(WHO, "demo", request());
  const second = await apps.deploy(WHO, "demo", request());
  await apps.stop(WHO, "demo");
  const ended = await apps.deploy(WHO, "once", request({ mode: "ephemeral" }));
  await apps.stop(WHO, ended.appId);
  const live = await apps.deploy(WHO, "once", request({ mode: "ephemeral" }));
  expect((await apps.list(WHO)).map(({ appId }) => appId)).toEqual([live.appId, second.appId]);
});

test("a mistyped function or app name comes back with the near one", async () => {
  await apps.deploy(WHO, "demo", request());
  await expect(apps.lookup(WHO, "demo", "sqare")).rejects.toThrow("did you mean square?");
  await expect(apps.lookup(WHO, "dmo", "square")).rejects.toThrow("did you mean demo?");
});

test("code that was never uploaded is refused by its hash", async () => {
  const missing = request({ codeSha256: "b".repeat(64) });
  await expect(apps.deploy(WHO, "demo", missing)).rejects.toThrow(/never uploaded/);
});

test("an image must have been built for the workspace before", async () => {
  const functions = (image: string) => [{ name: "square", spec: { image } }];
  await apps.deploy(WHO, "demo", request({ functions: functions(IMAGE) }));
  const unknown = apps.deploy(WHO, "demo", request({ functions: functions("d".repeat(64)) }));
  await expect(unknown).rejects.toThrow(/function square needs image d{64}.*not built/);
  const others = apps.deploy(STRANGER, "demo", request({ functions: functions(IMAGE) }));
  await expect(others).rejects.toMatchObject({ code: "invalid_request" });
});

describe("refused specs name the field", () => {
  const refuses = async (spec: unknown, message: RegExp): Promise<void> => {
    const functions = [{ name: "f", spec: spec as FunctionSpec }];
    const attempt = apps.deploy(WHO, "demo", request({ functions }));
    await expect(attempt).rejects.toMatchObject({ code: "invalid_request" });
    await expect(apps.deploy(WHO, "demo", request({ functions }))).rejects.toThrow(message);
  };
  test.each<[unknown, RegExp]>([
    [{ gpu: "H10O" }, /functions\[0\]\.spec\.gpu: there is no GPU type "H10O".*mean "H100"/],
    [{ gpu: "h100" }, /mean "H100"/],
    [{ gpu: "TPU9000" }, /no GPU type "TPU9000"\. Types: T4, L4/],
    [{ gpu: "H100:9" }, /count must be 1 to 8/],
    [{ gpu: "H100:" }, /count must be 1 to 8/],
    [{ gpu: ["H100:2", "A100-80GB"] }, /same count/],
    [{ gpu: ["H100", "H100"] }, /named twice/],
    [{ gpu: [] }, /gpu/],
    [{ gpu: 8 }, /a GPU choice is a string/],
    [{ gpu: { type: "H100" } }, /a GPU choice is a string/],
    [{ cpu: 0 }, /spec\.cpu/],
    [{ cpu: Number.NaN }, /spec\.cpu/],
    [{ memoryMiB: 63 }, /spec\.memoryMiB/],
    [{ memoryMiB: 100.5 }, /spec\.memoryMiB/],
    [
      { memoryMiB: { request: 128 } },
      /spec\.memoryMiB: .*64 to 524,288 MiB, or { request, limit }/,
    ],
    [{ memoryMiB: { request: 128, limit: 127 } }, /spec\.memoryMiB: limit is below request/],
    [{ memoryMiB: { request: 32, limit: 128 } }, /spec\.memoryMiB/],
    [{ memoryMiB: { request: 64, limit: 524_289 } }, /spec\.memoryMiB/],
    [{ memoryMiB: [64, 128] }, /spec\.memoryMiB/],
    [{ cpu: { request: 2, limit: 1 } }, /spec\.cpu: limit is below request/],
    [{ cpu: { request: 1, limit: 2, burst: 3 } }, /spec\.cpu/],
    [{ cpu: { request: Number.NaN, limit: 1 } }, /spec\.cpu/],
    [{ timeoutMs: 999 }, /spec\.timeoutMs/],
    [{ scaledownWindowMs: 1_200_001 }, /spec\.scaledownWindowMs/],
    [{ maxContainers: 0 }, /spec\.maxContainers/],
    [{ minContainers: 5, maxContainers: 4 }, /spec\.minContainers: .*above maxContainers/],
    [{ maxConcurrentInputs: 0 }, /spec\.maxConcurrentInputs/],
    [{ maxConcurrentInputs: 1_001 }, /spec\.maxConcurrentInputs/],
    [{ targetConcurrentInputs: 2 }, /spec\.targetConcurrentInputs: .*above maxConcurrentInputs/],
    [{ batched: { maxBatchSize: 8 } }, /spec\.batched\.waitMs/],
    [{ batched: { maxBatchSize: 1_001, waitMs: 1 } }, /spec\.batched\.maxBatchSize/],
    [
      { batched: { maxBatchSize: 8, waitMs: 1_000 }, timeoutMs: 1_000 },
      /spec\.batched: waitMs \(1000\) is not below timeoutMs \(1000\)/,
    ],
    [
      { batched: { maxBatchSize: 8, waitMs: 1 }, targetConcurrentInputs: 1 },
      /spec\.batched: does not go with maxConcurrentInputs/,
    ],
    [
      {
        batched: { maxBatchSize: 8, waitMs: 1 },
        python: { codeSha256: "a".repeat(64), module: "m", handler: "f" },
      },
      /spec\.batched: a Python function cannot be batched/,
    ],
    [{ diskMiB: 15 }, /spec\.diskMiB/],
    [{ diskMiB: 64, enableMemorySnapshot: true }, /spec\.diskMiB: .*memory snapshot/],
    [{ singleUse: true, maxConcurrentInputs: 2 }, /spec\.singleUse: .*runs one input/],
    [
      { singleUse: true, batched: { maxBatchSize: 2, waitMs: 1 } },
      /spec\.singleUse: .*runs one input/,
    ],
    [{ regions: [] }, /spec\.regions/],
    [{ regions: ["../x"] }, /spec\.regions\[0\]/],
    [{ clouds: ["fake"] }, /spec\.clouds\[0\]/],
    [{ network: { egress: "all" } }, /spec\.network/],
    [{ network: { allowHosts: ["http://a.com"] } }, /spec\.network/],
    [{ network: { allowHosts: [] } }, /spec\.network/],
    [{ network: { block: true, allowHosts: ["a.com"] } }, /spec\.network/],
    [{ env: { "A B": "x" } }, /spec\.env/],
    [{ env: { A: "x\0y" } }, /NUL/],
    [{ env: { A: "x".repeat(70_000) } }, /65536 bytes/],
    [{ image: "debian" }, /spec\.image: .*64 digits/],
    [{ image: { base: {} } }, /spec\.image/],
    [{ memoryMb: 512 }, /memoryMb/],
    [undefined, /functions\[0\]\.spec/],
  ])("%j", refuses);

  test.each(["", "-x", ".x", "../x", "a/b", "a b", "x".repeat(65), `ap_${"0".repeat(26)}`, "é"])(
    "an app cannot be called %j",
    async (name) => {
      const attempt = apps.deploy(WHO, name, request());
      await expect(attempt).rejects.toMatchObject({ code: "invalid_request" });
    },
  );

  test("two functions of one name are refused", async () => {
    const [one] = request().functions;
    const functions = one === undefined ? [] : [one, one];
    await expect(apps.deploy(WHO, "demo", request({ functions }))).rejects.toThrow(/same name/);
  });
});

describe("versions", () => {
  const OTHER = "d".repeat(64);
  const page = { limit: 50 };
  const specs = (...functions: readonly (readonly [string, FunctionSpec])[]) => ({
    functions: functions.map(([name, spec]) => ({ name, spec })),
  });

  test("tell who deployed them, and what changed from one to the next", async () => {
    blobs.add(OTHER);
    await apps.deploy(WHO, "demo", request(specs(["keep", { cpu: 1 }], ["gone", {}])));
    const who = { ...WHO, tokenId: "to_revoked" };
    await apps.deploy(who, "demo", request(specs(["keep", { cpu: 2 }], ["fresh", {}])));
    await apps.deploy(WHO, "demo", request({ ...specs(["keep", { cpu: 2 }], ["fresh", {}]) }));
    await apps.deploy(WHO, "demo", request({ codeSha256: OTHER, strategy: "recreate" }));
    await apps.deploy(WHO, "demo", request({ mode: "ephemeral" }));
    const { versions } = await apps.history(WHO, "demo", page);
    expect(versions).toMatchObject([
      {
        version: 4,
        state: "running",
        strategy: "recreate",
        codeSha256: OTHER,
        changes: { code: true, added: ["square"], removed: ["keep", "fresh"], changed: [] },
      },
      { version: 3, changes: { code: false, added: [], removed: [], changed: [] } },
      {
        version: 2,
        state: "finishing",
        deployedBy: { tokenId: "to_revoked" },
        changes: { code: false, added: ["fresh"], removed: ["gone"], changed: ["keep"] },
      },
      { version: 1, strategy: "rolling", functions: ["keep", "gone"] },
    ]);
    expect(versions[0]?.deployedBy).toEqual({ tokenId: "to_1", name: "laptop" });
    expect(versions[2]?.deployedBy).not.toHaveProperty("name");
    expect(versions[3]).not.toHaveProperty("changes");
  });

  test("come in pages that leave nothing out and say what a page's last one changed", async () => {
    for (let count = 0; count < 5; count += 1) await apps.deploy(WHO, "demo", request());
    const first = await apps.history(WHO, "demo", { limit: 3 });
    expect(first.versions.map(({ version }) => version)).toEqual([5, 4, 3]);
    expect(first.versions[2]?.changes).toBeDefined();
    const { nextBefore } = first;
    expect(nextBefore).toBe(3);
    const second = await apps.history(WHO, "demo", { limit: 2, before: 3 });
    expect(second.versions.map(({ version }) => version)).toEqual([2, 1]);
    expect(second).not.toHaveProperty("nextBefore");
    expect((await apps.history(WHO, "demo", { limit: 1, before: 1 })).versions).toEqual([]);
  });

  test("of another workspace's app, or of an ephemeral one, are not found", async () => {
    await apps.deploy(WHO, "demo", request());
    await apps.deploy(WHO, "brief", request({ mode: "ephemeral" }));
    for (const attempt of [
      apps.history(STRANGER, "demo", page),
      apps.history(WHO, "brief", page),
      apps.rollback(STRANGER, "demo", {}),
      apps.rollback(WHO, "brief", {}),
    ]) {
      await expect(attempt).rejects.toMatchObject({ code: "not_found" });
    }
  });

  test("are rolled back by a new version with the old code and specs", async () => {
    blobs.add(OTHER);
    await apps.deploy(WHO, "demo", request());
    const { appId } = await apps.deploy(WHO, "demo", request({ codeSha256: OTHER }));
    stopped.length = 0;
    const back = await apps.rollback(WHO, "demo", {});
    expect(back).toMatchObject({ version: 3, functions: [{ name: "square" }] });
    expect(stopped).toEqual([appId]);
    expect(reasons).toEqual(["replaced", "replaced"]);
    const { versions } = await apps.history(WHO, "demo", page);
    expect(versions[0]).toMatchObject({ codeSha256: CODE, rollbackOf: 1, state: "running" });
    expect((await apps.lookup(WHO, "demo", "square")).spec).toEqual({ gpu: "H100" });
    expect(await apps.rollback(WHO, "demo", { version: 2 })).toMatchObject({ version: 4 });
  });

  test("that are stopped run again by a rollback", async () => {
    await apps.deploy(WHO, "demo", request());
    await apps.stop(WHO, "demo");
    expect(reasons).toEqual(["stopped"]);
    expect(await apps.rollback(WHO, "demo", { version: 1 })).toMatchObject({ version: 2 });
  });

  test("are not rolled back to nothing, to what runs, or to what is not there", async () => {
    await apps.deploy(WHO, "demo", request());
    await expect(apps.rollback(WHO, "demo", {})).rejects.toThrow("one version only");
    await expect(apps.rollback(WHO, "demo", { version: 1 })).rejects.toMatchObject({
      code: "conflict",
    });
    await expect(apps.rollback(WHO, "demo", { version: 9 })).rejects.toThrow("no version 9");
    await expect(apps.rollback(WHO, "none", {})).rejects.toThrow("was ever deployed");
    expect(stopped).toEqual([]);
  });

  test("whose code or image is gone are refused with what to do, and what runs goes on", async () => {
    blobs.add(OTHER);
    await apps.deploy(WHO, "demo", request(specs(["square", { image: IMAGE }])));
    const { appId } = await apps.deploy(WHO, "demo", request({ codeSha256: OTHER }));
    images.clear();
    await expect(apps.rollback(WHO, "demo", {})).rejects.toThrow(
      `version 1 of app demo cannot run again, since image ${IMAGE} is gone: deploy it`,
    );
    blobs.delete(CODE);
    await expect(apps.rollback(WHO, "demo", {})).rejects.toThrow(`since code ${CODE} is gone`);
    expect(await apps.list(WHO)).toMatchObject([{ appId, state: "running" }]);
  });
});
