import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createManualClock, type ManualClock } from "../../fake/index.ts";
import { startGceEmulator, type GceEmulator } from "./index.ts";
import { reasonOf, restClient, ZONE } from "./test-client.ts";

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

describe("operations", () => {
  it("are RUNNING until their time has passed; a wait answers when they are DONE", async () => {
    emulator.configure({ operationMs: 5_000 });
    const insert = await rest.insert("one");
    const name = String(insert.body["name"]);
    expect(await rest.operation(insert)).toMatchObject({ status: "RUNNING", progress: 0 });
    const waiting = rest.call("POST", `zones/${ZONE}/operations/${name}/wait`);
    await expect.poll(() => emulator.waiting()).toBe(1);
    await clock.advance(5_000);
    expect((await waiting).body).toMatchObject({ status: "DONE", progress: 100 });
  });

  it("a wait ends after two minutes with what there is", async () => {
    emulator.configure({ operationMs: 600_000 });
    const insert = await rest.insert("one");
    const waiting = rest.call(
      "POST",
      `zones/${ZONE}/operations/${String(insert.body["name"])}/wait`,
    );
    await expect.poll(() => emulator.waiting()).toBe(1);
    await clock.advance(120_000);
    expect((await waiting).body).toMatchObject({ status: "RUNNING" });
  });

  it("of a deletion is DONE when the instance is gone", async () => {
    emulator.configure({ shutdownMs: 10_000 });
    await rest.insert("one");
    const deletion = await rest.call("DELETE", `zones/${ZONE}/instances/one`);
    await clock.advance(9_999);
    expect(await rest.operation(deletion)).toMatchObject({ status: "RUNNING" });
    expect(emulator.instances()).toMatchObject([{ status: "STOPPING" }]);
    await clock.advance(1);
    expect(await rest.operation(deletion)).toMatchObject({ status: "DONE" });
    expect(names()).toEqual([]);
  });

  it("that are not there, or in another zone, are 404", async () => {
    const insert = await rest.insert("one");
    const name = String(insert.body["name"]);
    for (const place of ["global", "zones/us-central1-b"]) {
      expect((await rest.call("GET", `${place}/operations/${name}`)).status).toBe(404);
      expect((await rest.call("POST", `${place}/operations/${name}/wait`)).status).toBe(404);
    }
  });

  it("are listed by zone, over all zones, and by type", async () => {
    await rest.insert("one");
    await rest.call("DELETE", `zones/${ZONE}/instances/one`);
    const filter = encodeURIComponent("operationType = delete");
    const list = await rest.call("GET", `zones/${ZONE}/operations?filter=${filter}`);
    expect(list.body["items"]).toMatchObject([{ operationType: "delete" }]);
    const { body } = await rest.call("GET", "aggregated/operations");
    expect(body["items"]).toMatchObject({
      [`zones/${ZONE}`]: { operations: [{ operationType: "insert" }, { operationType: "delete" }] },
    });
    expect((await rest.call("GET", "global/operations")).body["items"]).toEqual([]);
  });
});

describe("labels", () => {
  it("are written with the present fingerprint only, and 412 says to read again", async () => {
    await rest.insert("one", { labels: { a: "1" } });
    const path = `zones/${ZONE}/instances/one`;
    const { body } = await rest.call("GET", path);
    const { labelFingerprint } = body;
    const write = (labels: object) =>
      rest.call("POST", `${path}/setLabels`, { labels, labelFingerprint });
    expect((await write({ a: "2" })).status).toBe(200);
    const stale = await write({ a: "3" });
    expect([stale.status, reasonOf(stale)]).toEqual([412, "conditionNotMet"]);
    expect((await write({ A: "3" })).status).toBe(400);
    expect(emulator.instances()[0]?.labels).toEqual({ a: "2" });
  });
});

describe("what is not seen", () => {
  it("an instance that is too young is in no list and found by no name", async () => {
    emulator.configure({ visibilityMs: 1_000 });
    await rest.insert("one");
    const path = `zones/${ZONE}/instances`;
    expect((await rest.call("GET", path)).body["items"]).toEqual([]);
    expect((await rest.call("GET", `${path}/one`)).status).toBe(404);
    await clock.advance(1_000);
    expect((await rest.call("GET", path)).body["items"]).toHaveLength(1);
  });

  it("a young instance flickers by the seed, and an older one does not", async () => {
    emulator.configure({ flickerMs: 60_000, flickerFraction: 0.5 });
    await rest.insert("one");
    const look = async () => {
      const { body } = await rest.call("GET", `zones/${ZONE}/instances`);
      return (body["items"] as unknown[]).length;
    };
    const looks: number[] = [];
    for (let count = 0; count < 30; count += 1) looks.push(await look());
    expect(new Set(looks)).toEqual(new Set([0, 1]));
    await clock.advance(60_000);
    looks.length = 0;
    for (let count = 0; count < 10; count += 1) looks.push(await look());
    expect(new Set(looks)).toEqual(new Set([1]));
  });

  it("a zone that cannot be reached is named, by a warning or among the unreachable", async () => {
    await rest.insert("one");
    emulator.configure({ unreachableZones: [ZONE] });
    const plain = await rest.call("GET", "aggregated/instances");
    expect(plain.body["items"]).toMatchObject({
      [`zones/${ZONE}`]: { warning: { code: "UNREACHABLE" } },
    });
    const partial = await rest.call("GET", "aggregated/instances?returnPartialSuccess=true");
    expect(partial.body["unreachables"]).toEqual([`projects/emulated/zones/${ZONE}`]);
    expect(partial.body["items"]).not.toHaveProperty(`zones/${ZONE}`);
    expect((await rest.call("GET", `zones/${ZONE}/instances`)).status).toBe(503);
    expect((await rest.call("GET", `zones/${ZONE}`)).body["status"]).toBe("DOWN");
  });

  it("bad pages and filters are refused", async () => {
    for (const query of [
      "maxResults=501",
      "maxResults=x",
      "pageToken=x",
      "filter=nonsense",
      `filter=${encodeURIComponent("color = red")}`,
    ]) {
      await rest.insert("one");
      expect((await rest.call("GET", `aggregated/instances?${query}`)).status, query).toBe(400);
    }
  });
});

describe("places", () => {
  it("are the catalog's zones and regions, and what each sells", async () => {
    const zones = (await rest.call("GET", "zones")).body["items"] as { name: string }[];
    expect(zones.map(({ name }) => name)).toContain(ZONE);
    const types = await rest.call("GET", `zones/${ZONE}/machineTypes`);
    const typeNames = (types.body["items"] as { name: string }[]).map(({ name }) => name);
    expect(typeNames).toContain("a3-highgpu-8g");
    expect(typeNames).toContain("n1-standard-8");
    expect((await rest.call("GET", `zones/${ZONE}/machineTypes/a3-highgpu-8g`)).body).toMatchObject(
      {
        guestCpus: 208,
        memoryMb: 1872 * 1024,
      },
    );
    expect((await rest.call("GET", `zones/${ZONE}/machineTypes/zz`)).status).toBe(404);
    expect((await rest.call("GET", "regions/mars")).status).toBe(404);
  });
});
