import type { InstancesClient } from "@google-cloud/compute";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createManualClock, type ManualClock } from "../../fake/index.ts";
import { startGceEmulator, type GceEmulator } from "./index.ts";
import {
  codeOf,
  instanceNamed,
  propertiesOf,
  reasonOf,
  restClient,
  sdkClient,
  SPOT,
  ZONE,
} from "./test-client.ts";

const ID = "11111111-1111-4111-8111-111111111111";

let clock: ManualClock;
let emulator: GceEmulator;
let rest: ReturnType<typeof restClient>;
beforeEach(async () => {
  clock = createManualClock(1_800_000_000_000);
  emulator = await startGceEmulator({ clock, seed: "test" });
  rest = restClient(emulator);
});
afterEach(() => emulator.close());

const names = () => emulator.instances().map(({ name }) => name);

describe("to Google's client", () => {
  let sdk: InstancesClient;
  beforeEach(() => {
    sdk = sdkClient(emulator);
  });
  afterEach(() => sdk.close());
  const at = () => ({ project: emulator.projectId, zone: ZONE });

  it("an instance is inserted, read, labelled and deleted as in Compute Engine", async () => {
    const [insert] = await sdk.insert({
      ...at(),
      instanceResource: instanceNamed("one", { ...SPOT, labels: { pool: "a" } }),
    });
    expect(insert.latestResponse).toMatchObject({ status: "RUNNING", operationType: "insert" });
    const [instance] = await sdk.get({ ...at(), instance: "one" });
    expect(instance).toMatchObject({
      name: "one",
      labels: { pool: "a" },
      scheduling: { provisioningModel: "SPOT", preemptible: true },
    });
    expect(instance.id).toMatch(/^\d{19}$/);
    expect(instance.zone).toMatch(/\/zones\/us-central1-a$/);
    await sdk.setLabels({
      ...at(),
      instance: "one",
      instancesSetLabelsRequestResource: {
        labels: { pool: "b" },
        labelFingerprint: instance.labelFingerprint ?? "",
      },
    });
    expect((await sdk.get({ ...at(), instance: "one" }))[0].labels).toEqual({ pool: "b" });
    await sdk.delete({ ...at(), instance: "one" });
    await clock.advance(0);
    await expect(sdk.get({ ...at(), instance: "one" })).rejects.toMatchObject({
      httpStatusCode: 404,
    });
  });

  it("pages of all zones come one after the other, and empty zones with a warning", async () => {
    for (const name of ["one", "two", "three"]) await rest.insert(name, { labels: { k: name } });
    const seen: string[] = [];
    const warnings = new Set<unknown>();
    const pages = sdk.aggregatedListAsync({ project: emulator.projectId, maxResults: 2 });
    for await (const [, scope] of pages) {
      seen.push(...(scope.instances ?? []).map(({ name }) => name ?? ""));
      if (scope.warning) warnings.add(scope.warning.code);
    }
    expect(seen).toEqual(["one", "two", "three"]);
    expect([...warnings]).toEqual(["NO_RESULTS_ON_PAGE"]);
    const [found] = await sdk.list({ ...at(), filter: 'labels.k = "two"' });
    expect(found.map(({ name }) => name)).toEqual(["two"]);
  });

  it("an error document is a GoogleError with its status, and a failed operation is none", async () => {
    emulator.setCapacity({ zone: ZONE, instanceCountMax: 0 });
    const [insert] = await sdk.insert({ ...at(), instanceResource: instanceNamed("one") });
    expect(insert.latestResponse).toMatchObject({ status: "RUNNING" });
    await expect(
      sdk.insert({ ...at(), instanceResource: instanceNamed("No Name") }),
    ).rejects.toMatchObject({ code: 3, httpStatusCode: 400 });
  });
});

describe("inserts", () => {
  it("give the operation of the first call to every call with its request id", async () => {
    const first = await rest.insert("one", {}, `?requestId=${ID}`);
    const again = await rest.insert("other", {}, `?requestId=${ID.toUpperCase()}`);
    expect(again.body["name"]).toBe(first.body["name"]);
    expect(names()).toEqual(["one"]);
    const bulk = await rest.bulkInsert(
      {
        count: "1",
        perInstanceProperties: { two: {} },
        instanceProperties: propertiesOf("e2-standard-8"),
      },
      `?requestId=${ID}`,
    );
    expect(bulk.body["name"]).not.toBe(first.body["name"]);
  });

  it("refuse request ids that are none, and leave the id of a refused call free", async () => {
    for (const id of ["x", "00000000-0000-0000-0000-000000000000"]) {
      expect(reasonOf(await rest.insert("one", {}, `?requestId=${id}`))).toBe("invalid");
    }
    await rest.insert("Bad", {}, `?requestId=${ID}`);
    expect((await rest.insert("one", {}, `?requestId=${ID}`)).status).toBe(200);
  });

  it("refuse a name that is taken in the zone, until it is free again", async () => {
    await rest.insert("one");
    expect(await rest.insert("one")).toMatchObject({ status: 409 });
    await rest.call("DELETE", `zones/${ZONE}/instances/one`);
    await clock.advance(0);
    expect((await rest.insert("one")).status).toBe(200);
  });

  it.each([
    ["a bad name", { name: "-x" }],
    ["an unknown type", { machineType: `zones/${ZONE}/machineTypes/zz-1` }],
    ["a type of another zone", { machineType: "zones/us-east1-b/machineTypes/a3-highgpu-8g" }],
    ["a short type name", { machineType: "a3-highgpu-8g" }],
    ["a bad label key", { labels: { Key: "" } }],
    ["a bad label value", { labels: { key: "A" } }],
    [
      "too many labels",
      { labels: Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`k${i}`, ""])) },
    ],
    ["no network", { networkInterfaces: [] }],
    ["no boot disk", { disks: [] }],
    ["GPUs that would move", { scheduling: { onHostMaintenance: "MIGRATE" } }],
    ["Spot that restarts", { scheduling: { ...SPOT.scheduling, automaticRestart: true } }],
    ["long metadata", { metadata: { items: [{ key: "user-data", value: "x".repeat(262_145) }] } }],
    ["another accelerator", { guestAccelerators: [{ acceleratorType: "x", acceleratorCount: 1 }] }],
    ["a wrong member", { labels: [] }],
  ])("refuse %s with 400", async (_, fault) => {
    const answer = await rest.insert("one", fault);
    expect(answer.status).toBe(400);
    expect(["invalid", "required"]).toContain(reasonOf(answer));
    expect(names()).toEqual([]);
  });

  it("refuse unknown zones, projects and paths, and bodies that are no JSON", async () => {
    expect((await rest.call("POST", "zones/mars-a/instances", instanceNamed("one"))).status).toBe(
      400,
    );
    expect((await rest.call("GET", "global/snapshots")).status).toBe(404);
    const url = `${emulator.endpoint}/compute/v1/projects`;
    expect((await fetch(`${url}/other/zones`)).status).toBe(404);
    const broken = await fetch(`${url}/emulated/zones/${ZONE}/instances`, {
      method: "POST",
      body: "{",
    });
    expect(broken.status).toBe(400);
    expect((await fetch(emulator.endpoint)).status).toBe(404);
  });

  it("attach accelerators to general machines", async () => {
    const attached = { acceleratorType: `zones/${ZONE}/acceleratorTypes/nvidia-tesla-t4` };
    await rest.insert("one", {
      machineType: `zones/${ZONE}/machineTypes/n1-standard-8`,
      guestAccelerators: [{ ...attached, acceleratorCount: 1 }],
    });
    expect(emulator.instances()[0]?.instanceType).toBe("n1-standard-8+1xT4");
  });
});

describe("bulk inserts", () => {
  const instanceProperties = propertiesOf("a3-highgpu-8g");

  it("name machines as asked, and tell of each by an operation of the group", async () => {
    const bulk = await rest.bulkInsert({
      count: "2",
      perInstanceProperties: { b: {}, a: {} },
      instanceProperties,
    });
    await clock.advance(0);
    expect(names()).toEqual(["a", "b"]);
    const done = await rest.operation(bulk);
    expect(done).toMatchObject({
      status: "DONE",
      instancesBulkInsertOperationMetadata: {
        perLocationStatus: { [`zones/${ZONE}`]: { targetVmCount: 2, createdVmCount: 2 } },
      },
    });
    const filter = encodeURIComponent(`operationGroupId = "${String(done["operationGroupId"])}"`);
    const { body } = await rest.call("GET", `zones/${ZONE}/operations?filter=${filter}`);
    const items = body["items"] as Record<string, unknown>[];
    const inserts = items.filter((item) => item["operationType"] === "insert");
    expect(inserts.map((item) => item["targetId"])).toEqual(
      emulator.instances().map(({ instanceId }) => instanceId),
    );
  });

  it("number machines by a pattern, after those that are there", async () => {
    const twice = { count: "2", namePattern: "m-###", instanceProperties };
    await rest.bulkInsert(twice);
    await rest.bulkInsert(twice);
    expect(names()).toEqual(["m-001", "m-002", "m-003", "m-004"]);
  });

  it("make as many as there are if that is enough, and none if it is not", async () => {
    emulator.setCapacity({ zone: ZONE, instanceCountMax: 2 });
    const three = {
      count: "3",
      perInstanceProperties: { a: {}, b: {}, c: {} },
      instanceProperties,
    };
    const none = await rest.bulkInsert(three);
    await clock.advance(0);
    expect(codeOf(await rest.operation(none))).toBe("ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS");
    expect(names()).toEqual([]);
    const some = await rest.bulkInsert({ ...three, minCount: "1" });
    await clock.advance(0);
    const done = await rest.operation(some);
    expect(codeOf(done)).toBeUndefined();
    expect(done["instancesBulkInsertOperationMetadata"]).toMatchObject({
      perLocationStatus: { [`zones/${ZONE}`]: { createdVmCount: 2, failedToCreateVmCount: 1 } },
    });
    expect(names()).toEqual(["a", "b"]);
  });

  it("leave out names that are taken", async () => {
    await rest.insert("a");
    await rest.bulkInsert({
      count: "2",
      minCount: "1",
      perInstanceProperties: { a: {}, b: {} },
      instanceProperties,
    });
    expect(names()).toEqual(["a", "b"]);
  });

  it("refuse a count that is not that of the names", async () => {
    const perInstanceProperties = { a: {} };
    for (const count of ["0", "2"]) {
      const answer = await rest.bulkInsert({ count, perInstanceProperties, instanceProperties });
      expect(answer.status).toBe(400);
    }
    expect(
      (await rest.bulkInsert({ count: "1", namePattern: "x", instanceProperties })).status,
    ).toBe(400);
  });
});
