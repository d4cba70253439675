import type { VirtualMachine } from "@azure/arm-compute";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  GROUP,
  machineBody,
  NETWORK,
  onDemandBody,
  openArmBench,
  updateIntervalInMs,
} from "./test-bench.ts";

type Bench = Awaited<ReturnType<typeof openArmBench>>;
let bench: Bench;
beforeEach(async () => {
  bench = await openArmBench();
});
afterEach(() => bench.emulator.close());

const machines = () => bench.compute.virtualMachines;
const start: Bench["start"] = (name, more) => bench.start(name, more);

async function all<T>(list: AsyncIterable<T>): Promise<readonly T[]> {
  const items: T[] = [];
  for await (const item of list) items.push(item);
  return items;
}

describe("a machine's create over the real SDK", () => {
  it("is a long-running operation that ends with the machine as it runs", async () => {
    const { poller } = await start("m1");
    expect(poller.isDone).toBe(false);
    const creating = await machines().get(GROUP, "m1", { expand: "instanceView" });
    expect(creating).toMatchObject({ name: "m1", provisioningState: "Creating", zones: ["1"] });
    expect(creating.instanceView?.statuses?.map(({ code }) => code)).toEqual([
      "ProvisioningState/creating/OSProvisioningInProgress",
      "PowerState/running",
    ]);
    await bench.clock.advance(30_000);
    const created = await poller;
    expect(created).toMatchObject({
      name: "m1",
      location: "eastus",
      tags: { pool: "p1" },
      priority: "Spot",
      provisioningState: "Succeeded",
      timeCreated: new Date(1_800_000_000_000),
    });
    expect(created.vmId).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-/);
    const view = await machines().instanceView(GROUP, "m1");
    expect(view.statuses?.map(({ code }) => code)).toEqual([
      "ProvisioningState/succeeded",
      "PowerState/running",
    ]);
  });

  it("shows no secret again: neither password nor custom data, user data when it is asked", async () => {
    await start("m1");
    const plain = await machines().get(GROUP, "m1");
    expect(JSON.stringify(plain)).not.toMatch(/Passw0rd|customData/);
    expect(plain.userData).toBeUndefined();
    const expanded = await machines().get(GROUP, "m1", { expand: "userData" });
    expect(Buffer.from(expanded.userData ?? "", "base64").toString()).toBe("hello");
    expect(JSON.stringify(bench.emulator.journal())).not.toMatch(/Passw0rd/);
  });

  it("repeated by name finds the machine, and is refused where it must not find one", async () => {
    await start("m1");
    const id = `${NETWORK}/networkInterfaces/m1-nic`;
    const again = machines().createOrUpdate(GROUP, "m1", machineBody("m1", id), {
      updateIntervalInMs,
    });
    await again.submitted();
    expect(bench.emulator.machines()).toHaveLength(1);
    const onlyNew = machines().createOrUpdate(GROUP, "m1", machineBody("m1", id), {
      ifNoneMatch: "*",
    });
    await expect(onlyNew.submitted()).rejects.toMatchObject({ statusCode: 412 });
    const other = machineBody("m1", id, { hardwareProfile: { vmSize: "Standard_NC8as_T4_v3" } });
    await expect(machines().createOrUpdate(GROUP, "M1", other).submitted()).rejects.toMatchObject({
      statusCode: 409,
      code: "PropertyChangeNotAllowed",
    });
    const elsewhere = machines().createOrUpdate(
      GROUP,
      "m1",
      machineBody("m1", id, { location: "westus" }),
    );
    await expect(elsewhere.submitted()).rejects.toMatchObject({ code: "InvalidResourceLocation" });
  });

  it.each<[string, Partial<VirtualMachine>, string]>([
    ["an unknown size", { hardwareProfile: { vmSize: "Standard_XX" } }, "InvalidParameter"],
    ["an unknown region", { location: "moon" }, "LocationNotAvailableForResourceType"],
    ["an unknown zone", { zones: ["9"] }, "InvalidAvailabilityZone"],
    ["eviction without spot", { priority: "Regular" }, "InvalidParameter"],
    ["user data that is no base64", { userData: "?" }, "InvalidParameter"],
    ["a tag with a bad name", { tags: { "a/b": "c" } }, "InvalidTagNameCharacters"],
    [
      "no way to log in",
      { osProfile: { computerName: "m", adminUsername: "a" } },
      "InvalidParameter",
    ],
    [
      "an interface that is not there",
      { networkProfile: { networkInterfaces: [{ id: `${NETWORK}/networkInterfaces/x` }] } },
      "InvalidResourceReference",
    ],
  ])("with %s is refused", async (_what, more, code) => {
    const body = machineBody("m1", await bench.addInterface("m1-nic"), more);
    const poller = machines().createOrUpdate(GROUP, "m1", body);
    await expect(poller.submitted()).rejects.toMatchObject({ statusCode: 400, code });
    expect(bench.emulator.machines()).toEqual([]);
  });

  it("in a group that is not there is refused, and in one that was made is not", async () => {
    const body = machineBody("m1", `${NETWORK}/networkInterfaces/x`);
    await expect(machines().createOrUpdate("other", "m1", body).submitted()).rejects.toMatchObject({
      statusCode: 404,
      code: "ResourceGroupNotFound",
    });
    const made = await fetch(
      `${bench.emulator.endpoint}/subscriptions/sub-1/resourcegroups/other?api-version=2021-04-01`,
      {
        method: "PUT",
        headers: { authorization: "Bearer x", "content-type": "application/json" },
        body: JSON.stringify({ location: "eastus" }),
      },
    );
    expect(made.status).toBe(201);
    expect(await all(machines().list("other"))).toEqual([]);
  });
});

describe("shortages and quotas over the real SDK", () => {
  it("a size that is not to be had is refused at once, with status 409", async () => {
    bench.emulator.setCapacity({ region: "eastus", instanceCountMax: 0, code: "SkuNotAvailable" });
    await expect(start("m1")).rejects.toMatchObject({ statusCode: 409, code: "SkuNotAvailable" });
    expect(bench.emulator.machines()).toEqual([]);
  });

  it("a shortage of hosts fails the operation, and leaves machine, interface and disk", async () => {
    bench.emulator.setCapacity({ zone: "1", instanceCountMax: 0 });
    const { poller } = await start("m1");
    await expect(poller.pollUntilDone()).rejects.toThrow(
      /^The long-running operation has failed\. ZonalAllocationFailed\. Allocation failed/,
    );
    const failed = await machines().get(GROUP, "m1", { expand: "instanceView" });
    expect(failed.provisioningState).toBe("Failed");
    expect(failed.instanceView?.statuses?.[0]?.code).toBe(
      "ProvisioningState/failed/ZonalAllocationFailed",
    );
    expect(bench.emulator.resources().map(({ name }) => name)).toEqual(["m1-nic", "m1-os"]);
  });

  it("an inner error replaces the outer code in the SDK's words, as the real one's does", async () => {
    bench.emulator.injectFault({
      action: "VirtualMachines.CreateOrUpdate",
      when: "before",
      effect: {
        kind: "fail-create",
        failure: { code: "Outer", message: "M.", inner: { code: "Inner", message: "N." } },
      },
    });
    const { poller } = await start("m1");
    await expect(poller.pollUntilDone()).rejects.toThrow("has failed. Inner. M. N.");
  });

  it("capacity follows its schedule, by zone and size", async () => {
    bench.emulator.setCapacity({
      zone: "1",
      instanceType: "Standard_NC4as_T4_v3",
      instanceCountMax: 0,
      steps: [{ afterMs: 60_000, instanceCountMax: 1 }],
    });
    await expect((await start("m1")).poller.pollUntilDone()).rejects.toThrow(
      "ZonalAllocationFailed",
    );
    await start("m2", { zones: ["2"] });
    await bench.clock.advance(60_000);
    await start("m3");
    await expect((await start("m4")).poller.pollUntilDone()).rejects.toThrow(
      "ZonalAllocationFailed",
    );
    expect(
      bench.emulator.machines().filter(({ powerState }) => powerState === "running"),
    ).toHaveLength(2);
  });

  it("quotas bind spot together, families apart and the region as a whole", async () => {
    bench.emulator.setQuota({ region: "eastus", usage: "lowPriorityCores", vcpuCountMax: 4 });
    await start("m1");
    await expect(start("m2")).rejects.toMatchObject({
      statusCode: 409,
      code: "OperationNotAllowed",
      message: expect.stringContaining("LowPriorityCores quota") as string,
    });
    bench.emulator.setQuota({
      region: "eastus",
      usage: "standardNCASv3_T4Family",
      vcpuCountMax: 0,
    });
    const id = await bench.addInterface("m3-nic");
    const create = (name: string) =>
      machines().createOrUpdate(GROUP, name, onDemandBody(name, id)).submitted();
    await expect(create("m3")).rejects.toThrow("standardNCASv3_T4Family Cores quota");
    bench.emulator.setQuota({ region: "eastus", usage: "standardNCASv3_T4Family" });
    bench.emulator.setQuota({ region: "eastus", usage: "cores", vcpuCountMax: 3 });
    await expect(create("m3")).rejects.toThrow("Total Regional Cores quota");
    const usages = await all(bench.compute.usage.list("eastus"));
    expect(usages.find(({ name }) => name.value === "lowPriorityCores")).toMatchObject({
      limit: 4,
      currentValue: 4,
    });
    expect(usages.find(({ name }) => name.value === "cores")).toMatchObject({ limit: 3 });
  });

  it("sizes are listed by region with zones, family and restrictions", async () => {
    const shut = { region: "eastus", instanceCountMax: 0, code: "SkuNotAvailable" } as const;
    bench.emulator.setCapacity({ ...shut, instanceType: "Standard_NC4as_T4_v3", zone: "3" });
    const skus = await all(bench.compute.resourceSkus.list({ filter: "location eq 'eastus'" }));
    expect(skus.length).toBeGreaterThan(10);
    expect(skus.every(({ locations }) => locations?.[0] === "eastus")).toBe(true);
    expect(skus.find(({ name }) => name === "Standard_NC4as_T4_v3")).toMatchObject({
      family: "standardNCASv3_T4Family",
      locationInfo: [{ location: "eastus", zones: ["1", "2", "3"] }],
      restrictions: [{ type: "Zone", restrictionInfo: { zones: ["3"] } }],
    });
  });
});
