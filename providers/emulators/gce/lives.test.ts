import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createManualClock, type ManualClock } from "../../fake/index.ts";
import type { MachineLaunch, MachineLauncher } from "../shared/machine-launcher.ts";
import { startGceEmulator, type GceEmulator } from "./index.ts";
import { restClient, SPOT, ZONE } from "./test-client.ts";

/** A launcher whose processes end when they are told to, and which keeps count. */
function recordingLauncher() {
  const launched: MachineLaunch[] = [];
  const ended: string[] = [];
  const exits = new Map<string, () => void>();
  const launcher: MachineLauncher = {
    launch: async (machine) => {
      if (machine.userData === "broken") throw new Error("no disk");
      launched.push(machine);
      const exited = new Promise<void>((resolve) => exits.set(machine.instanceId, resolve));
      return {
        exited,
        terminate: async () => {
          ended.push(machine.instanceId);
          exits.get(machine.instanceId)?.();
        },
      };
    },
  };
  return { launched, ended, exits, launcher };
}

let clock: ManualClock;
let emulator: GceEmulator;
let rest: ReturnType<typeof restClient>;
let recorded: ReturnType<typeof recordingLauncher>;
let statuses: string[];
beforeEach(async () => {
  clock = createManualClock();
  recorded = recordingLauncher();
  emulator = await startGceEmulator({
    clock,
    seed: "test",
    launcher: recorded.launcher,
    settings: { bootMs: 1_000, shutdownMs: 500 },
  });
  rest = restClient(emulator);
  statuses = [];
  emulator.onInstanceEvent(({ status, atMs }) => statuses.push(`${status}@${String(atMs)}`));
});
afterEach(() => emulator.close());

const userData = (value: string) => ({ metadata: { items: [{ key: "user-data", value }] } });
const remove = () => rest.call("DELETE", `zones/${ZONE}/instances/one`);
const idOf = () => emulator.instances()[0]?.instanceId ?? "";

describe("an instance's life", () => {
  it("is made for the boot delay, and then runs its process with all it needs", async () => {
    await rest.insert("one", { ...SPOT, ...userData("hello") });
    await clock.advance(999);
    expect(recorded.launched).toEqual([]);
    await clock.advance(1);
    expect(statuses).toEqual(["PROVISIONING@0", "STAGING@500", "RUNNING@1000"]);
    expect(recorded.launched).toEqual([
      {
        instanceId: idOf(),
        instanceType: "a3-highgpu-8g",
        region: "us-central1",
        zone: ZONE,
        market: "spot",
        userData: "hello",
        resources: { gpuCount: 8, cpuMilli: 208_000, memoryMiB: 1872 * 1024 },
        gpuType: "H100",
        metadataUrl: `${emulator.endpoint}/_metadata/${idOf()}`,
      },
    ]);
  });

  it("ends with its deletion: process, stop, gone", async () => {
    await rest.insert("one");
    await clock.advance(1_000);
    const id = idOf();
    await remove();
    await remove();
    await clock.advance(500);
    expect(recorded.ended).toEqual([id]);
    expect(statuses.slice(3)).toEqual(["STOPPING@1000", "gone@1500"]);
  });

  it("never starts a process when it is deleted while it boots", async () => {
    await rest.insert("one");
    await remove();
    await clock.advance(10_000);
    expect(recorded.launched).toEqual([]);
    expect(statuses).toEqual(["PROVISIONING@0", "STOPPING@0", "gone@500"]);
  });

  it("stays, stopped, when it shuts itself down, until it is deleted", async () => {
    await rest.insert("one");
    await clock.advance(1_000);
    recorded.exits.get(idOf())?.();
    await clock.advance(500);
    expect(emulator.instances()).toMatchObject([{ status: "TERMINATED" }]);
    await remove();
    await clock.advance(500);
    expect(emulator.instances()).toEqual([]);
  });

  it("stops when its process cannot be started, and when its boot is made to fail", async () => {
    await rest.insert("one", userData("broken"));
    emulator.setBoot({ outcome: "dies", instanceType: "e2-standard-8" });
    await rest.insert("two", { machineType: `zones/${ZONE}/machineTypes/e2-standard-8` });
    await clock.advance(1_500);
    expect(emulator.instances()).toMatchObject([
      { status: "TERMINATED" },
      { status: "TERMINATED" },
    ]);
    expect(recorded.launched).toEqual([]);
  });

  it("runs without a process when its boot is made silent, for the share that is asked", async () => {
    emulator.setBoot({ outcome: "silent", zone: ZONE, fraction: 0.5 });
    for (let count = 0; count < 20; count += 1) await rest.insert(`n-${String(count)}`);
    await clock.advance(1_000);
    expect(emulator.instances().every(({ status }) => status === "RUNNING")).toBe(true);
    expect(recorded.launched.length).toBeGreaterThan(2);
    expect(recorded.launched.length).toBeLessThan(18);
  });

  it("leaves no process behind when the emulator closes, whatever state each is in", async () => {
    await rest.insert("one");
    await clock.advance(1_000);
    await rest.insert("two");
    await Promise.all([emulator.close(), emulator.close()]);
    expect(recorded.ended).toHaveLength(1);
    expect(emulator.instances()).toEqual([]);
  });
});

describe("preemption", () => {
  it("is told on the machine at once, by an operation, and by the end after 30 seconds", async () => {
    await rest.insert("one", SPOT);
    await clock.advance(1_000);
    const id = idOf();
    const [machine] = recorded.launched;
    const ask = (query: string) =>
      fetch(`${machine?.metadataUrl ?? ""}/computeMetadata/v1/instance/preempted${query}`, {
        headers: { "metadata-flavor": "Google" },
      });
    expect(await (await ask("")).text()).toBe("FALSE");
    const waiting = ask("?wait_for_change=true");
    await expect.poll(() => emulator.waiting()).toBe(1);
    emulator.preempt({ instanceId: id });
    emulator.preempt({ instanceId: id });
    expect(await (await waiting).text()).toBe("TRUE");
    expect(await (await ask("?wait_for_change=true")).text()).toBe("TRUE");
    const filter = encodeURIComponent("operationType=compute.instances.preempted");
    const { body } = await rest.call("GET", `aggregated/operations?filter=${filter}`);
    expect(body["items"]).toMatchObject({
      [`zones/${ZONE}`]: { operations: [{ targetId: id, user: "system", status: "DONE" }] },
    });
    await clock.advance(29_999);
    expect(recorded.ended).toEqual([]);
    await clock.advance(1);
    expect(recorded.ended).toEqual([id]);
    await clock.advance(500);
    expect(emulator.instances()).toEqual([]);
  });

  it("without a notice ends at once; with the action STOP the machine stays, stopped", async () => {
    const scheduling = { ...SPOT.scheduling, instanceTerminationAction: "STOP" };
    await rest.insert("one", { scheduling });
    await clock.advance(1_000);
    emulator.preempt({ instanceId: idOf(), withoutNotice: true });
    await clock.advance(500);
    expect(recorded.ended).toHaveLength(1);
    expect(emulator.instances()).toMatchObject([{ status: "TERMINATED" }]);
  });

  it("while the machine is made ends it before it runs", async () => {
    await rest.insert("one", SPOT);
    emulator.preempt({ instanceId: idOf() });
    await clock.advance(31_000);
    expect(recorded.launched).toEqual([]);
    expect(emulator.instances()).toEqual([]);
  });

  it("is refused for machines on demand and for unknown ones", async () => {
    await rest.insert("one");
    expect(() => emulator.preempt({ instanceId: idOf() })).toThrow("only Spot machines");
    expect(() => emulator.preempt({ instanceId: "1" })).toThrow("no such instance");
  });
});

describe("the metadata server", () => {
  const ask = (path: string, headers: Record<string, string> = { "metadata-flavor": "Google" }) =>
    fetch(`${emulator.endpoint}/_metadata/${idOf()}/computeMetadata/v1/instance/${path}`, {
      headers,
    });

  it("tells a machine who it is", async () => {
    await rest.insert("one", userData("hello"));
    const texts = ["id", "name", "zone", "attributes/user-data", "maintenance-event"].map(
      async (path) => (await ask(path)).text(),
    );
    expect(await Promise.all(texts)).toEqual([
      idOf(),
      "one",
      `projects/123456789012/zones/${ZONE}`,
      "hello",
      "NONE",
    ]);
    expect((await ask("id")).headers.get("metadata-flavor")).toBe("Google");
    expect(await (await ask("machine-type")).text()).toContain("a3-highgpu-8g");
  });

  it("answers only with the header that a browser cannot be made to send", async () => {
    await rest.insert("one");
    expect((await ask("id", {})).status).toBe(403);
    expect((await ask("nothing")).status).toBe(404);
    expect((await fetch(`${emulator.endpoint}/_metadata/1/x`)).status).toBe(404);
  });

  it("ends the wait of a machine that is deleted", async () => {
    await rest.insert("one", SPOT);
    const waiting = ask("preempted?wait_for_change=true");
    await expect.poll(() => emulator.waiting()).toBe(1);
    await remove();
    await clock.advance(500);
    expect(await (await waiting).text()).toBe("FALSE");
    expect(emulator.waiting()).toBe(0);
  });

  it("ends a wait for a change when its time is over, or when the change was missed", async () => {
    await rest.insert("one", SPOT);
    const waiting = ask("preempted?wait_for_change=true&timeout_sec=5");
    await expect.poll(() => emulator.waiting()).toBe(1);
    await clock.advance(5_000);
    expect(await (await waiting).text()).toBe("FALSE");
    const missed = await ask("preempted?wait_for_change=true&last_etag=other");
    expect(await missed.text()).toBe("FALSE");
  });
});
