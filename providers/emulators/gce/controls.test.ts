import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createManualClock, type ManualClock } from "../../fake/index.ts";
import { startGceEmulator, type GceEmulator } from "./index.ts";
import { restClient, SPOT, ZONE } from "./test-client.ts";

let clock: ManualClock;
let emulator: GceEmulator;
let rest: ReturnType<typeof restClient>;
beforeEach(async () => {
  clock = createManualClock();
  emulator = await startGceEmulator({ clock, seed: "test" });
  rest = restClient(emulator);
});
afterEach(() => emulator.close());

const control = async (method: string, path: string, body?: unknown) => {
  const response = await fetch(`${emulator.endpoint}/_emulator/${path}`, {
    method,
    ...(body === undefined
      ? {}
      : { headers: { "content-type": "application/json" }, body: JSON.stringify(body) }),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
};
const list = () => rest.call("GET", "aggregated/instances");

describe("the control endpoint", () => {
  it("sets delays, capacity, quotas, rates and boots", async () => {
    expect(await control("POST", "settings", { bootMs: 7 })).toEqual({ status: 200, body: {} });
    expect((await control("GET", "settings")).body).toMatchObject({ bootMs: 7, noticeMs: 30_000 });
    await control("POST", "capacity", { zone: ZONE, instanceCountMax: 0 });
    await rest.insert("one");
    expect(emulator.instances()).toEqual([]);
    await control("POST", "capacity", { zone: ZONE });
    await control("POST", "quota", { metric: "NVIDIA_H100_GPUS", region: "us-central1", limit: 0 });
    await rest.insert("one");
    expect(emulator.instances()).toEqual([]);
    await control("POST", "quota", { metric: "NVIDIA_H100_GPUS", region: "us-central1" });
    await control("POST", "boot", { outcome: "dies" });
    await rest.insert("one");
    await clock.advance(7);
    expect((await control("GET", "instances")).body["instances"]).toMatchObject([
      { name: "one", status: "TERMINATED" },
    ]);
    await control("POST", "rate", { kind: "read", rate: { burst: 1, perSecond: 1 } });
    expect([(await list()).status, (await list()).status]).toEqual([200, 403]);
  });

  it("preempts Spot machines, and explains why it cannot preempt others", async () => {
    await rest.insert("one", SPOT);
    const [spot] = emulator.instances();
    expect((await control("POST", "preempt", { instanceId: spot?.instanceId })).status).toBe(200);
    const refused = await control("POST", "preempt", { instanceId: "0" });
    expect(refused.status).toBe(400);
    expect(refused.body["error"]).toContain("no such instance");
  });

  it.each([
    ["settings", { bootMs: -1 }],
    ["settings", { bootms: 1 }],
    ["settings", { flickerFraction: 2 }],
    ["settings", { stockoutCode: "OTHER" }],
    ["capacity", { market: "reserved" }],
    ["quota", {}],
    ["rate", { kind: "other" }],
    ["boot", { outcome: "explodes" }],
    ["faults", { when: "before", effect: { kind: "explode" } }],
    ["faults", { when: "before", effect: { kind: "reset" }, times: 0 }],
    ["preempt", {}],
  ])("rejects a bad body for %s: %j", async (path, body) => {
    const before = emulator.settings();
    const answer = await control("POST", path, body);
    expect(answer.status).toBe(400);
    expect(answer.body["error"]).toBeTruthy();
    expect(emulator.settings()).toEqual(before);
  });

  it("rejects what is no JSON, what a web page could send, and unknown routes", async () => {
    const post = (contentType: string, body: string) =>
      fetch(`${emulator.endpoint}/_emulator/settings`, {
        method: "POST",
        headers: { "content-type": contentType },
        body,
      });
    expect((await post("application/json", "{")).status).toBe(400);
    expect((await post("text/plain", "{}")).status).toBe(415);
    expect((await control("GET", "nothing")).status).toBe(404);
  });
});

describe("faults", () => {
  it("strike calls by action, place and parameters, after some have passed, and are cleared", async () => {
    const effect = { kind: "error", reason: "backendError", status: 503 };
    await control("POST", "faults", { effect, when: "before", action: "instances.get" });
    expect((await list()).status).toBe(200);
    expect((await rest.call("GET", `zones/${ZONE}/instances/x`)).status).toBe(503);
    await control("POST", "faults", { effect, when: "before", place: "us-central1-b" });
    expect((await rest.call("GET", `zones/${ZONE}`)).status).toBe(200);
    expect((await rest.call("GET", "zones/us-central1-b")).status).toBe(503);
    const params = { maxResults: "7" };
    await control("POST", "faults", { effect, when: "before", params, skipCount: 1, times: 2 });
    const page = async () => (await rest.call("GET", "zones?maxResults=7")).status;
    expect([await page(), await page(), (await list()).status, await page(), await page()]).toEqual(
      [200, 503, 200, 503, 200],
    );
    await control("POST", "faults", { effect, when: "before", times: 9 });
    await control("DELETE", "faults");
    expect((await list()).status).toBe(200);
  });

  it("strike a share of the calls, the same ones for the same seed", async () => {
    const strikes = async () => {
      const one = await startGceEmulator({ clock, seed: "share" });
      const client = restClient(one);
      const effect = { kind: "error", reason: "backendError", status: 503 } as const;
      one.injectFault({ effect, when: "before", fraction: 0.3, times: 1_000 });
      const seen: number[] = [];
      for (let call = 0; call < 60; call += 1)
        seen.push((await client.call("GET", "zones")).status);
      await one.close();
      return seen;
    };
    const first = await strikes();
    const struck = first.filter((status) => status === 503).length;
    expect(struck).toBeGreaterThan(5);
    expect(struck).toBeLessThan(35);
    expect(await strikes()).toEqual(first);
  });

  it("after: the call takes effect, and the journal says so, with no secret in it", async () => {
    emulator.injectFault({ when: "after", effect: { kind: "reset" } });
    const secret = { metadata: { items: [{ key: "user-data", value: "secret" }] } };
    await expect(rest.insert("one", secret)).rejects.toThrow();
    const { body } = await control("GET", "journal");
    expect(body["entries"]).toMatchObject([
      { sequence: 0, action: "instances.insert", place: ZONE, applied: true, failure: "reset" },
    ]);
    expect(JSON.stringify(body)).not.toContain("secret");
    expect(emulator.instances()).toHaveLength(1);
  });

  it("end an operation with an error, having taken effect or not", async () => {
    const effect = { kind: "operation", code: "INTERNAL_ERROR" } as const;
    for (const when of ["before", "after"] as const) {
      emulator.injectFault({ action: "instances.insert", when, effect });
      emulator.injectFault({ action: "instances.bulkInsert", when, effect });
      const insert = await rest.insert(`one-${when}`);
      const bulk = await rest.bulkInsert({
        count: "1",
        namePattern: `many-${when}-#`,
        instanceProperties: {
          ...SPOT,
          machineType: "a3-highgpu-8g",
          networkInterfaces: [{}],
          disks: [{ boot: true, initializeParams: { sourceImage: "global/images/x" } }],
        },
      });
      await clock.advance(0);
      for (const answer of [insert, bulk]) {
        expect(await rest.operation(answer)).toMatchObject({
          error: { errors: [{ code: "INTERNAL_ERROR" }] },
        });
      }
    }
    expect(emulator.instances().map(({ name }) => name)).toEqual(["one-after", "many-after-1"]);
    emulator.injectFault({ action: "instances.delete", when: "before", effect });
    await rest.call("DELETE", `zones/${ZONE}/instances/one-after`);
    await clock.advance(0);
    expect(emulator.instances()).toHaveLength(2);
  });

  it("give a foreign body, or nothing until the emulator closes", async () => {
    const page = { kind: "body", status: 200, contentType: "text/html", body: "<html>" } as const;
    emulator.injectFault({ when: "before", effect: page });
    expect(
      await (await fetch(`${emulator.endpoint}/compute/v1/projects/emulated/zones`)).text(),
    ).toBe("<html>");
    emulator.injectFault({ when: "before", effect: { kind: "hang" } });
    const hung = list().then(
      () => "answered",
      () => "cut off",
    );
    await expect.poll(() => emulator.journal().length).toBe(2);
    await emulator.close();
    expect(await hung).toBe("cut off");
  });

  it("hold answers back for the latency that is set", async () => {
    emulator.configure({ latencyMs: 1_000 });
    let isAnswered = false;
    const listing = list().then(() => {
      isAnswered = true;
    });
    await expect.poll(() => emulator.journal().length).toBe(1);
    expect(isAnswered).toBe(false);
    await clock.advance(1_000);
    await listing;
  });
});

it("refuses a port that is taken", async () => {
  const port = Number(new URL(emulator.endpoint).port);
  await expect(startGceEmulator({ clock, port })).rejects.toThrow("EADDRINUSE");
});

it("answers 413 to a body that is too large, and serves on", async () => {
  const url = `${emulator.endpoint}/compute/v1/projects/emulated/zones/${ZONE}/instances`;
  const answer = await fetch(url, { method: "POST", body: "x".repeat(4 * 1_048_576 + 1) });
  expect(answer.status).toBe(413);
  expect((await list()).status).toBe(200);
});
