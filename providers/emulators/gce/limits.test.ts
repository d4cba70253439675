import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createManualClock, type ManualClock } from "../../fake/index.ts";
import { startGceEmulator, type GceEmulator } from "./index.ts";
import { codeOf, reasonOf, restClient, SPOT, ZONE } from "./test-client.ts";

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

describe("what is short", () => {
  it("is told by the operation, in both codes there are", async () => {
    emulator.setCapacity({ zone: ZONE, market: "on-demand", instanceCountMax: 0 });
    for (const stockoutCode of [
      "ZONE_RESOURCE_POOL_EXHAUSTED",
      "ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS",
    ] as const) {
      emulator.configure({ stockoutCode });
      const insert = await rest.insert("one");
      expect(insert.status).toBe(200);
      await clock.advance(0);
      const operation = await rest.operation(insert);
      expect(codeOf(operation)).toBe(stockoutCode);
      expect(operation).toMatchObject({ status: "DONE", httpErrorStatusCode: 503 });
    }
    await rest.insert("two", SPOT);
    expect(names()).toEqual(["two"]);
  });

  it("changes on a schedule", async () => {
    emulator.setCapacity({
      zone: ZONE,
      instanceCountMax: 0,
      steps: [{ afterMs: 60_000, instanceCountMax: 1 }, { afterMs: 120_000 }],
    });
    const sizes: number[] = [];
    for (const name of ["a", "b", "c", "d"]) {
      await rest.insert(name);
      sizes.push(emulator.instances().length);
      await clock.advance(40_000);
    }
    expect(sizes).toEqual([0, 0, 1, 2]);
  });

  it("over a quota of the region or of all regions is told with the quota's name and limit", async () => {
    emulator.setQuota({ metric: "PREEMPTIBLE_NVIDIA_H100_GPUS", region: "us-central1", limit: 8 });
    emulator.setQuota({ metric: "GPUS_ALL_REGIONS", limit: 16 });
    await rest.insert("one", SPOT);
    const messages: unknown[] = [];
    for (const [name, more] of [
      ["two", SPOT],
      ["three", {}],
      ["four", {}],
    ] as const) {
      const insert = await rest.insert(name, more);
      await clock.advance(0);
      const { error } = (await rest.operation(insert)) as {
        error?: { errors: { message: string }[] };
      };
      messages.push(error?.errors[0]?.message);
    }
    expect(messages).toEqual([
      "Quota 'PREEMPTIBLE_NVIDIA_H100_GPUS' exceeded.  Limit: 8.0 in region us-central1.",
      undefined,
      "Quota 'GPUS_ALL_REGIONS' exceeded.  Limit: 16.0 globally.",
    ]);
    expect((await rest.call("GET", "regions/us-central1")).body["quotas"]).toEqual([
      { metric: "NVIDIA_H100_GPUS", limit: 1_000_000, usage: 8 },
      { metric: "PREEMPTIBLE_NVIDIA_H100_GPUS", limit: 8, usage: 8 },
    ]);
    expect((await rest.call("GET", "")).body["quotas"]).toEqual([
      { metric: "GPUS_ALL_REGIONS", limit: 16, usage: 16 },
    ]);
    expect(emulator.quotas("us-central1")).toHaveLength(2);
  });

  it("in calls per second is told by rateLimitExceeded, until time has passed", async () => {
    emulator.setRate({ kind: "change", rate: { burst: 1, perSecond: 1 } });
    expect((await rest.insert("one")).status).toBe(200);
    const throttled = await rest.insert("two");
    expect([throttled.status, reasonOf(throttled)]).toEqual([403, "rateLimitExceeded"]);
    expect((await rest.call("GET", "zones")).status).toBe(200);
    await clock.advance(1_000);
    expect((await rest.insert("two")).status).toBe(200);
    emulator.setRate({ kind: "change" });
    expect((await rest.insert("three")).status).toBe(200);
  });
});
