/** Machines with a process behind them, their metadata endpoint, and the controls over HTTP. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createManualClock, type ManualClock } from "../../fake/index.ts";
import type { MachineLaunch, MachineLauncher } from "../shared/machine-launcher.ts";
import { startArmEmulator, type ArmEmulator } from "./index.ts";

const GROUP = "/subscriptions/sub-1/resourceGroups/group-1";

let clock: ManualClock;
let emulator: ArmEmulator;
let launched: MachineLaunch[];
let log: string[];
let exits: Map<string, () => void>;

beforeEach(async () => {
  clock = createManualClock(1_800_000_000_000);
  launched = [];
  log = [];
  exits = new Map();
  const launcher: MachineLauncher = {
    launch: (launch) => {
      if (launch.userData === "broken") return Promise.reject(new Error("no disk"));
      launched.push(launch);
      const exited = new Promise<void>((resolve) => exits.set(launch.instanceId, resolve));
      return Promise.resolve({
        exited,
        terminate: () => {
          log.push("terminated");
          exits.get(launch.instanceId)?.();
          return Promise.resolve();
        },
      });
    },
  };
  emulator = await startArmEmulator({
    clock,
    launcher,
    seed: "test",
    resourceGroups: ["sub-1/group-1"],
    settings: { createMs: 1_000, bootMs: 2_000 },
  });
});
afterEach(() => emulator.close());

async function put(path: string, body: unknown): Promise<Response> {
  return fetch(`${emulator.endpoint}${GROUP}/providers/${path}?api-version=2026-04-01`, {
    method: "PUT",
    headers: { authorization: "Bearer x", "content-type": "application/json" },
    body: JSON.stringify(body),
  });
}

/** Creates a spot machine with an interface; gives its status. */
async function create(name: string, customData = "hello"): Promise<number> {
  const nic = `${GROUP}/providers/Microsoft.Network/networkInterfaces/${name}`;
  const subnet = { id: `${GROUP}/providers/Microsoft.Network/virtualNetworks/n/subnets/s` };
  await put(`Microsoft.Network/networkInterfaces/${name}`, {
    location: "eastus",
    properties: { ipConfigurations: [{ name: "a", properties: { subnet } }] },
  });
  const created = await put(`Microsoft.Compute/virtualMachines/${name}`, {
    location: "eastus",
    tags: { "flotilla:node": "no_1" },
    properties: {
      hardwareProfile: { vmSize: "Standard_NC4as_T4_v3" },
      priority: "Spot",
      evictionPolicy: "Delete",
      userData: Buffer.from("readable").toString("base64"),
      osProfile: {
        computerName: name,
        adminUsername: "a",
        adminPassword: "b",
        customData: Buffer.from(customData).toString("base64"),
      },
      storageProfile: {
        imageReference: { id: "image" },
        osDisk: { createOption: "FromImage", deleteOption: "Delete" },
      },
      networkProfile: { networkInterfaces: [{ id: nic, properties: { deleteOption: "Delete" } }] },
    },
  });
  return created.status;
}

describe("a machine with a process", () => {
  it("starts it once it is provisioned, with all it needs", async () => {
    const events: string[] = [];
    emulator.onMachineEvent(({ provisioningState, powerState = "none", atMs }) =>
      events.push(`${provisioningState} ${powerState} @${String(atMs - 1_800_000_000_000)}`),
    );
    expect(await create("m1")).toBe(201);
    await clock.advance(2_999);
    expect(launched).toEqual([]);
    await clock.advance(1);
    const [machine] = emulator.machines();
    expect(launched).toEqual([
      {
        instanceId: machine?.vmId,
        instanceType: "Standard_NC4as_T4_v3",
        region: "eastus",
        zone: "",
        market: "spot",
        userData: "hello",
        resources: { gpuCount: 1, cpuMilli: 4_000, memoryMiB: 28_672 },
        gpuType: "T4",
        metadataUrl: `${emulator.endpoint}/_metadata/${String(machine?.vmId)}`,
      },
    ]);
    expect(events).toEqual([
      "Creating none @0",
      "Creating running @1000",
      "Succeeded running @3000",
    ]);
  });

  it("stops, and stays, when its process ends by itself", async () => {
    await create("m1");
    await clock.advance(3_000);
    for (const exit of exits.values()) exit();
    await clock.advance(0);
    expect(emulator.machines()).toMatchObject([
      { provisioningState: "Succeeded", powerState: "stopped" },
    ]);
  });

  it("fails when its process cannot be started", async () => {
    await create("m1", "broken");
    await clock.advance(3_000);
    expect(emulator.machines()).toMatchObject([
      { provisioningState: "Failed", powerState: "stopped" },
    ]);
  });

  it("never has a process when it dies at boot, is deleted before, or never registers", async () => {
    const params = (name: string) => ({ params: { name }, when: "before" }) as const;
    emulator.injectFault({ effect: { kind: "die-at-boot" }, ...params("dies") });
    emulator.injectFault({ effect: { kind: "never-register" }, ...params("silent") });
    for (const name of ["dies", "silent", "deleted"]) await create(name);
    await fetch(
      `${emulator.endpoint}${GROUP}/providers/Microsoft.Compute/virtualMachines/deleted?api-version=1`,
      { method: "DELETE", headers: { authorization: "Bearer x" } },
    );
    await clock.advance(10_000);
    expect(launched).toEqual([]);
    expect(emulator.machines()).toMatchObject([
      { name: "dies", provisioningState: "Failed", powerState: "stopped" },
      { name: "silent", provisioningState: "Succeeded", powerState: "running" },
    ]);
  });

  it("loses its process with itself, and all of them when the emulator closes", async () => {
    await create("m1");
    await create("m2");
    await clock.advance(3_000);
    emulator.evict("m1");
    await clock.advance(0);
    expect(log).toHaveLength(1);
    await Promise.all([emulator.close(), emulator.close()]);
    expect(log).toHaveLength(2);
  });
});

describe("the metadata endpoint of a machine", () => {
  const ask = (path: string, init: RequestInit = {}) =>
    fetch(`${launched[0]?.metadataUrl ?? ""}/metadata/${path}?api-version=2020-07-01`, {
      headers: { metadata: "true" },
      ...init,
    });

  beforeEach(async () => {
    await create("m1");
    await clock.advance(3_000);
  });

  it("says what the machine is, and gives its user data but not its custom data", async () => {
    expect(await (await ask("instance/compute")).json()).toMatchObject({
      name: "m1",
      vmSize: "Standard_NC4as_T4_v3",
      priority: "Spot",
      tagsList: [{ name: "flotilla:node", value: "no_1" }],
    });
    const whole = await (await ask("instance")).text();
    expect(whole).toContain('"compute"');
    expect(whole).not.toContain(Buffer.from("hello").toString("base64"));
    const userData = await (await ask("instance/compute/userData")).text();
    expect(Buffer.from(userData, "base64").toString()).toBe("readable");
  });

  it("answers nobody who could be a page or a proxy, and no stranger", async () => {
    expect((await ask("instance", { headers: {} })).status).toBe(400);
    const forwarded = { metadata: "true", "x-forwarded-for": "1.2.3.4" };
    expect((await ask("instance", { headers: forwarded })).status).toBe(400);
    expect((await ask("nothing")).status).toBe(404);
    const { metadataUrl = "" } = launched[0] ?? {};
    const bare = await fetch(`${metadataUrl}/metadata/instance`, { headers: { metadata: "true" } });
    expect(bare.status).toBe(400);
    const stranger = `${emulator.endpoint}/_metadata/0-0/metadata/instance?api-version=1`;
    expect((await fetch(stranger, { headers: { metadata: "true" } })).status).toBe(404);
  });

  it("announces an eviction for its notice, and takes the machine when that is over", async () => {
    expect(await (await ask("scheduledevents")).json()).toMatchObject({ Events: [] });
    emulator.evict("m1", { noticeMs: 30_000 });
    expect(await (await ask("scheduledevents")).json()).toMatchObject({
      DocumentIncarnation: 2,
      Events: [
        {
          EventType: "Preempt",
          EventStatus: "Scheduled",
          ResourceType: "VirtualMachine",
          Resources: ["m1"],
          NotBefore: new Date(clock.nowMs() + 30_000).toUTCString(),
        },
      ],
    });
    await clock.advance(29_999);
    expect(emulator.machines()).toHaveLength(1);
    await clock.advance(1);
    expect(emulator.machines()).toEqual([]);
    expect(log).toEqual(["terminated"]);
  });

  it("lets an acknowledged eviction happen at once, and knows its own events only", async () => {
    emulator.evict("m1", { noticeMs: 30_000 });
    const { Events } = (await (await ask("scheduledevents")).json()) as {
      Events: { EventId: string }[];
    };
    const send = (body: string) =>
      ask("scheduledevents", { method: "POST", body, headers: { metadata: "true" } });
    expect((await send("{")).status).toBe(400);
    expect((await send(JSON.stringify({ StartRequests: [{ EventId: "x" }] }))).status).toBe(400);
    const EventId = Events[0]?.EventId;
    expect((await send(JSON.stringify({ StartRequests: [{ EventId }] }))).status).toBe(200);
    await clock.advance(0);
    expect(emulator.machines()).toEqual([]);
  });
});

describe("the controls over HTTP", () => {
  const control = async (method: string, path: string, body?: unknown) => {
    const response = await fetch(`${emulator.endpoint}/_emulator/${path}`, {
      method,
      ...(body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
    });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  };

  it.each<[string, unknown]>([
    ["settings", { bootMs: 5 }],
    ["capacity", { zone: "1", instanceCountMax: 0, code: "AllocationFailed" }],
    ["capacity", { steps: [{ afterMs: 5 }] }],
    ["quota", { region: "eastus", usage: "cores", vcpuCountMax: 1 }],
    ["settings", { flickerMs: 5, flickerFraction: 0.5 }],
    ["rate", { kind: "read", rate: { burst: 1, perSecond: 0.5 } }],
    ["faults", { when: "after", effect: { kind: "reset" }, fraction: 0.5, times: 3 }],
    ["faults", { when: "before", effect: { kind: "die-at-boot" } }],
    [
      "phantoms",
      {
        count: 2,
        subscriptionId: "sub-1",
        resourceGroup: "group-1",
        region: "eastus",
        instanceType: "Standard_NC4as_T4_v3",
        market: "spot",
        name: "p{}",
        tags: {},
      },
    ],
  ])("%s takes %j", async (path, body) => {
    expect(await control("POST", path, body)).toEqual({ status: 200, body: {} });
  });

  it.each<[string, unknown]>([
    ["settings", { bootMs: -1 }],
    ["settings", { nothing: 1 }],
    ["capacity", { code: "Nothing" }],
    ["faults", { when: "before", effect: { kind: "nothing" } }],
    ["evict", { name: "nobody" }],
    ["evict-some", { fraction: 2 }],
    ["phantoms", { count: 1 }],
  ])("%s refuses %j, and says why", async (path, body) => {
    const { status, body: answer } = await control("POST", path, body);
    expect(status).toBe(400);
    expect(answer["error"]).toBeTruthy();
  });

  it("shows machines, resources, settings and the journal", async () => {
    await create("m1");
    expect((await control("GET", "machines")).body).toMatchObject({ machines: [{ name: "m1" }] });
    expect((await control("GET", "resources")).body["resources"]).toHaveLength(2);
    expect((await control("GET", "settings")).body).toMatchObject({ bootMs: 2_000 });
    expect((await control("GET", "journal")).body["entries"]).toHaveLength(2);
    expect((await control("DELETE", "faults")).status).toBe(200);
    await clock.advance(3_000);
    expect((await control("POST", "evict", { name: "m1" })).status).toBe(200);
    const wave = await control("POST", "evict-some", { fraction: 1 });
    expect(wave).toEqual({ status: 200, body: { evictedCount: 0 } });
    expect((await control("GET", "nothing")).status).toBe(404);
  });
});

describe("10,000 phantoms", () => {
  it("are listed over all pages", async () => {
    emulator.addPhantoms({
      count: 10_000,
      subscriptionId: "sub-1",
      resourceGroup: "group-1",
      region: "eastus",
      instanceType: "Standard_NC4as_T4_v3",
      market: "spot",
      name: "p{}",
      tags: { n: "{}" },
    });
    emulator.configure({ pageSize: 1_000 });
    const headers = { authorization: "Bearer x" };
    const path = "providers/Microsoft.Compute/virtualMachines?api-version=1";
    let url: string | undefined = `${emulator.endpoint}${GROUP}/${path}`;
    const names = new Set<string>();
    while (url !== undefined) {
      const page = (await (await fetch(url, { headers })).json()) as {
        value: { name: string }[];
        nextLink?: string;
      };
      for (const { name } of page.value) names.add(name);
      url = page.nextLink;
    }
    expect(names.size).toBe(10_000);
  });
});
