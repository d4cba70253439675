import { beforeEach, describe, expect, test } from "vitest";
import { countingIds } from "../../core/index.ts";
import type { DeployRequest, FunctionSpec } from "../../sdk/protocol/index.ts";
import { createAppService, EPHEMERAL_LEASE_MS, type ManagedApps } from "./app-service.ts";
import type { StoredImage } from "../store/record-store.ts";
import { createFakeRegistry } from "./fake-registry.ts";

const CODE = "a".repeat(64);
const WHO = { workspaceId: "main", tokenId: "to_1" };
const STRANGER = { workspaceId: "other", tokenId: "to_2" };

const IMAGE = "c".repeat(64);
const findImage = (workspaceId: string, imageId: string) =>
  Promise.resolve(
    workspaceId === "main" && imageId === IMAGE ? ({ imageId } as StoredImage) : undefined,
  );

let nowMs: number;
let apps: ManagedApps;
let deployed: string[];
let stopped: string[];

beforeEach(() => {
  nowMs = 1_000;
  deployed = [];
  stopped = [];
  apps = createAppService({
    store: { registry: createFakeRegistry(), images: { find: findImage } },
    secrets: { checkDeployment: () => Promise.resolve(), keepOwn: () => Promise.resolve() },
    blobs: { has: async (sha256) => sha256 === CODE },
    fleet: { functionLoad: () => ({ backlog: 3, containers: 2 }) },
    clock: { nowMs: () => nowMs },
    ids: countingIds(),
    workspaceIds: [],
    onDeployed: ({ appId }) => deployed.push(appId),
    onStopped: (appId) => stopped.push(appId),
  });
});

const request = (changed: Partial<DeployRequest> = {}): DeployRequest => ({
  mode: "deployed",
  codeSha256: CODE,
  functions: [{ name: "square", spec: { gpu: "H100" } }],
  ...changed,
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
    [{ timeoutMs: 999 }, /spec\.timeoutMs/],
    [{ scaledownWindowMs: 1_200_001 }, /spec\.scaledownWindowMs/],
    [{ maxContainers: 0 }, /spec\.maxContainers/],
    [{ minContainers: 5, maxContainers: 4 }, /spec\.minContainers: .*above maxContainers/],
    [{ maxConcurrentInputs: 0 }, /spec\.maxConcurrentInputs/],
    [{ maxConcurrentInputs: 1_001 }, /spec\.maxConcurrentInputs/],
    [{ targetConcurrentInputs: 2 }, /spec\.targetConcurrentInputs: .*above maxConcurrentInputs/],
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
