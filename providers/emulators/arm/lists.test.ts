import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startArmEmulator } from "./index.ts";
import {
  GROUP,
  NETWORK,
  onDemandBody,
  openArmBench,
  SUBNET,
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

describe("lists, tags and deletes over the real SDK", () => {
  it("hold ten thousand phantoms, each once", async () => {
    bench.emulator.addPhantoms({ ...PHANTOMS, count: 10_000 });
    const names = new Set<string | undefined>();
    for await (const { name } of machines().list(GROUP)) names.add(name);
    expect(names.size).toBe(10_000);
  });

  it("lists are paged, and complete although machines come and go between the pages", async () => {
    bench.emulator.addPhantoms(PHANTOMS);
    const pages = machines().list(GROUP).byPage();
    const first = await pages.next();
    expect(first.value).toHaveLength(200);
    await machines().delete(GROUP, "phantom-7", { updateIntervalInMs });
    await machines().delete(GROUP, "phantom-300", { updateIntervalInMs });
    await bench.clock.advance(0);
    const names = new Set<string | undefined>();
    for (let page = first; page.done !== true; page = await pages.next()) {
      for (const { name } of page.value) names.add(name);
    }
    expect(names.size).toBe(449);
  });

  it("a list by location has the machines of one region, over all resource groups", async () => {
    bench.emulator.addPhantoms({ ...PHANTOMS, count: 3 });
    const listed = async (region: string) => (await all(machines().listByLocation(region))).length;
    expect([await listed("eastus"), await listed("westeurope")]).toEqual([3, 0]);
  });

  it("a region that is down answers nothing, nor does a list that would have to ask it", async () => {
    await start("m1");
    const response = await fetch(`${bench.emulator.endpoint}/_emulator/settings`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ downRegions: ["eastus"] }),
    });
    expect(response.status).toBe(200);
    const down = { statusCode: 503, code: "ServiceUnavailable" };
    await expect(all(machines().listByLocation("eastus"))).rejects.toMatchObject(down);
    await expect(all(machines().list(GROUP))).rejects.toMatchObject(down);
    await expect(machines().get(GROUP, "m1")).rejects.toMatchObject(down);
    expect(await all(machines().listByLocation("westeurope"))).toEqual([]);
    bench.emulator.configure({ downRegions: [] });
    expect(await all(machines().list(GROUP))).toHaveLength(1);
  });

  it("statusOnly lists give power states and no tags", async () => {
    await start("m1");
    const [listed] = await all(machines().listAll({ statusOnly: "true" }));
    expect(listed?.tags).toBeUndefined();
    expect(listed?.instanceView?.statuses?.at(-1)?.code).toBe("PowerState/running");
  });

  it("a new machine is in lists late and found by its name at once; a gone one lingers", async () => {
    bench.emulator.configure({ listLagMs: 10_000, deletedListedMs: 5_000 });
    await start("m1");
    expect(await all(machines().list(GROUP))).toEqual([]);
    expect((await machines().get(GROUP, "m1")).name).toBe("m1");
    await bench.clock.advance(10_000);
    expect(await all(machines().list(GROUP))).toHaveLength(1);
    await machines().delete(GROUP, "m1", { updateIntervalInMs });
    await expect(machines().get(GROUP, "m1")).rejects.toMatchObject({ statusCode: 404 });
    expect(await all(machines().list(GROUP))).toHaveLength(1);
    await bench.clock.advance(5_000);
    expect(await all(machines().list(GROUP))).toEqual([]);
  });

  it("a tag update replaces the tags", async () => {
    await start("m1");
    const updated = await machines().update(GROUP, "m1", { tags: { b: "2" } });
    expect(updated.tags).toEqual({ b: "2" });
  });

  it("a delete takes what the create said it should, and absent machines are deleted already", async () => {
    bench.emulator.configure({ deleteMs: 5_000 });
    await start("m1");
    const poller = machines().delete(GROUP, "m1", { forceDeletion: true, updateIntervalInMs });
    await poller.submitted();
    expect((await machines().get(GROUP, "m1")).provisioningState).toBe("Deleting");
    await bench.clock.advance(5_000);
    await poller;
    expect(bench.emulator.resources()).toEqual([]);
    await machines().delete(GROUP, "m1");
  });

  it("an interface in use is not deleted, nor one that is reserved, nor an attached disk", async () => {
    bench.emulator.configure({ nicReservedMs: 180_000 });
    bench.emulator.setCapacity({ zone: "2", instanceCountMax: 0 });
    await start("m1");
    const remove = (name: string) =>
      bench.network.networkInterfaces.delete(GROUP, name).submitted();
    await expect(remove("m1-nic")).rejects.toMatchObject({ code: "NicInUse" });
    await expect(bench.compute.disks.delete(GROUP, "m1-os").submitted()).rejects.toMatchObject({
      statusCode: 409,
    });
    await start("m2", { zones: ["2"] });
    await machines().delete(GROUP, "m2", { updateIntervalInMs });
    await expect(remove("m2-nic")).rejects.toMatchObject({
      statusCode: 400,
      code: "NicReservedForAnotherVm",
    });
    await bench.clock.advance(180_000);
    await remove("m2-nic");
    expect(bench.emulator.resources().map(({ name }) => name)).toEqual(["m1-nic", "m1-os"]);
  });

  it("a public address is held by the interface that names it", async () => {
    await bench.network.publicIPAddresses.createOrUpdate(
      GROUP,
      "ip",
      { location: "eastus", publicIPAllocationMethod: "Static" },
      { updateIntervalInMs },
    );
    const publicIPAddress = { id: `${NETWORK}/publicIPAddresses/ip` };
    const ipConfigurations = [{ name: "primary", subnet: { id: SUBNET }, publicIPAddress }];
    await bench.network.networkInterfaces.createOrUpdate(
      GROUP,
      "nic",
      { location: "eastus", ipConfigurations },
      { updateIntervalInMs },
    );
    await expect(
      bench.network.publicIPAddresses.delete(GROUP, "ip").submitted(),
    ).rejects.toMatchObject({
      code: "PublicIPAddressCannotBeDeleted",
    });
    await bench.network.networkInterfaces.delete(GROUP, "nic").submitted();
    await bench.network.publicIPAddresses.delete(GROUP, "ip").submitted();
    expect(bench.emulator.resources()).toEqual([]);
  });

  it("a simulated eviction takes the machine after its notice; on-demand machines have none", async () => {
    await start("m1");
    await machines().simulateEviction(GROUP, "m1");
    await bench.clock.advance(29_999);
    expect(bench.emulator.machines()).toHaveLength(1);
    await bench.clock.advance(1);
    expect(bench.emulator.machines()).toEqual([]);
    const body = onDemandBody("m2", await bench.addInterface("m2-nic"));
    await machines().createOrUpdate(GROUP, "m2", body).submitted();
    await expect(machines().simulateEviction(GROUP, "m2")).rejects.toMatchObject({
      code: "OperationNotAllowed",
    });
  });

  it("a wave of evictions takes a fraction of the spot machines that match", async () => {
    bench.emulator.addPhantoms(PHANTOMS);
    bench.emulator.addPhantoms({ ...PHANTOMS, count: 5, region: "westus", name: "west-{}" });
    bench.emulator.addPhantoms({ ...PHANTOMS, count: 5, market: "on-demand", name: "sure-{}" });
    const { evictedCount } = bench.emulator.evictSome({ fraction: 0.5, region: "eastus" });
    expect(evictedCount).toBeGreaterThan(150);
    expect(evictedCount).toBeLessThan(300);
    await bench.clock.advance(0);
    expect(bench.emulator.machines()).toHaveLength(460 - evictedCount);
    const names = bench.emulator.machines().map(({ name }) => name);
    expect(names.filter((name) => /^(west|sure)-/.test(name))).toHaveLength(10);
  });

  it("a new machine flickers in lists while it is told to", async () => {
    bench.emulator.configure({ flickerMs: 60_000, flickerFraction: 0.5 });
    await start("m1");
    const counts = new Set<number>();
    for (let look = 0; look < 20; look += 1) {
      counts.add((await all(machines().list(GROUP))).length);
    }
    expect(counts).toEqual(new Set([0, 1]));
    await bench.clock.advance(60_000);
    expect(await all(machines().list(GROUP))).toHaveLength(1);
  });

  it("an eviction by the policy Deallocate leaves the machine without a host", async () => {
    await start("m1", { evictionPolicy: "Deallocate" });
    bench.emulator.evict("m1");
    const view = await machines().instanceView(GROUP, "m1");
    expect(view.statuses?.at(-1)?.code).toBe("PowerState/deallocated");
  });
});

describe("the network between", () => {
  it("limits requests by kind, says when to come back, and counts no polling", async () => {
    bench.emulator.setRate({ kind: "read", rate: { burst: 2, perSecond: 1 } });
    const { poller } = await start("m1");
    await machines().get(GROUP, "m1");
    const third = machines().get(GROUP, "m1");
    await expect(third).rejects.toMatchObject({ statusCode: 429, code: "TooManyRequests" });
    await poller.poll();
    await bench.clock.advance(1_000);
    expect((await machines().get(GROUP, "m1")).name).toBe("m1");
  });

  it("faults by chance follow the seed", async () => {
    const outcomes = async (): Promise<string> => {
      const other = await startArmEmulator({
        clock: bench.clock,
        seed: "s",
        resourceGroups: [`sub-1/${GROUP}`],
      });
      other.injectFault({
        when: "before",
        effect: { kind: "error", code: "InternalServerError", status: 500 },
        fraction: 0.3,
        times: 1_000,
      });
      const path = `/subscriptions/sub-1/resourceGroups/${GROUP}?api-version=1`;
      const headers = { authorization: "Bearer x" };
      let seen = "";
      for (let call = 0; call < 40; call += 1) {
        seen += String((await fetch(`${other.endpoint}${path}`, { headers })).status);
      }
      await other.close();
      return seen;
    };
    const first = await outcomes();
    expect(first).toContain("500");
    expect(first).toContain("200");
    expect(await outcomes()).toBe(first);
  });

  it("asks for a token and an api-version, and knows its routes", async () => {
    const path = `${bench.emulator.endpoint}/subscriptions/sub-1/resourceGroups/${GROUP}`;
    const headers = { authorization: "Bearer x" };
    expect((await fetch(`${path}?api-version=1`)).status).toBe(401);
    expect((await fetch(path, { headers })).status).toBe(400);
    expect((await fetch(`${path}/nothing?api-version=1`, { headers })).status).toBe(404);
    expect((await fetch(`${path}?api-version=1`, { headers })).status).toBe(200);
  });

  it("journals every call with whether it took effect, and the tries of one SDK call", async () => {
    bench.emulator.injectFault({
      action: "VirtualMachines.CreateOrUpdate",
      when: "after",
      effect: { kind: "reset" },
    });
    await expect(start("m1")).rejects.toThrow();
    expect(bench.emulator.journal().at(-1)).toMatchObject({
      action: "VirtualMachines.CreateOrUpdate",
      place: "eastus",
      applied: true,
      failure: "reset",
      params: { name: "m1", vmSize: "Standard_NC4as_T4_v3", zone: "1", "tags.pool": "p1" },
    });
    expect(bench.emulator.machines()).toHaveLength(1);
  });
});

const PHANTOMS = {
  count: 450,
  subscriptionId: "sub-1",
  resourceGroup: GROUP,
  region: "eastus",
  instanceType: "Standard_NC4as_T4_v3",
  market: "spot",
  name: "phantom-{}",
  tags: { "flotilla:node": "no_{}" },
} as const;
