import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { assert, type Offer } from "../../core/index.ts";
import { startGceEmulator, type Fault } from "../emulators/gce/index.ts";
import type { RentRequest } from "../provider.ts";
import { createGcpProvider } from "./provider.ts";
import { BOOT_MS, openGcpBench, type GcpBench } from "./test-bench.ts";

const SPOT = "gcp/us-central1/us-central1-a/a3-highgpu-8g/spot";

let bench: GcpBench;
let spot: Offer;
beforeEach(async () => {
  bench = await openGcpBench();
  const offers = await bench.provider.listOffers();
  const found = offers.find(({ offerId }) => offerId === SPOT);
  assert(found !== undefined, `the catalog has ${SPOT}`);
  spot = found;
});
afterEach(() => bench.close());

const requestFor = (count: number, id = "1", offer = spot): RentRequest => ({
  offers: [offer],
  nodeIds: Array.from({ length: count }, (_, index) => `no_${id}x${index}`),
  clientToken: `token-${id}`,
  userData: "",
  tags: {},
});

async function rented(count: number, id?: string, offer?: Offer): Promise<readonly string[]> {
  const outcome = await bench.provider.rent(requestFor(count, id, offer));
  return outcome.rented.map(({ providerNodeId }) => providerNodeId);
}

async function offerIn(zone: string): Promise<Offer> {
  const found = (await bench.provider.listOffers()).find(
    (one) => one.zone === zone && one.instanceType === spot.instanceType && one.purchase === "spot",
  );
  assert(found !== undefined, `there is such an offer in ${zone}`);
  return found;
}

const strike = (fault: Omit<Fault, "when">) =>
  bench.emulator.injectFault({ ...fault, when: "before" });
const jsonBody = (value: unknown): Fault["effect"] => ({
  kind: "body",
  status: 200,
  contentType: "application/json",
  body: JSON.stringify(value),
});
const numberOf = (providerNodeId: string): string => providerNodeId.split("/")[2] ?? "";

describe("offers", () => {
  it("are the catalog's of its regions, named as emulated", async () => {
    const offers = await bench.provider.listOffers();
    expect(new Set(offers.map(({ region }) => region))).toEqual(
      new Set(["us-central1", "europe-west4"]),
    );
    expect(offers.every(({ emulated, bootMs }) => emulated && bootMs === BOOT_MS)).toBe(true);
  });
});

describe("quotas", () => {
  const nodeCounts = async (provider = bench.provider) => {
    const found = (await provider.listOffers()).find(({ offerId }) => offerId === SPOT);
    return found?.nodeCountMax;
  };

  it("S12 bound the offers, and are read again after a while", async () => {
    const quota = { region: "us-central1", metric: "PREEMPTIBLE_NVIDIA_H100_GPUS" };
    expect(await nodeCounts()).toBe(100);
    bench.emulator.setQuota({ ...quota, limit: 16 });
    expect(await nodeCounts(await bench.reopen())).toBe(2);
    expect(await nodeCounts()).toBe(100);
    await bench.clock.advance(600_000);
    await nodeCounts();
    await expect.poll(() => nodeCounts()).toBe(2);
  });

  it("S32 that cannot be read bound nothing, and those known last are kept", async () => {
    const effect = { kind: "error", reason: "backendError", status: 503 } as const;
    strike({ action: "regions.get", effect, times: 4 });
    expect(await nodeCounts(await bench.reopen())).toBe(100);
    bench.emulator.clearFaults();
    const quota = { region: "us-central1", metric: "PREEMPTIBLE_NVIDIA_H100_GPUS" };
    bench.emulator.setQuota({ ...quota, limit: 16 });
    const provider = await bench.reopen();
    expect(await nodeCounts(provider)).toBe(2);
    strike({ action: "regions.get", effect, times: 4 });
    await bench.clock.advance(600_000);
    expect(await nodeCounts(provider)).toBe(2);
    await provider.close();
    expect(await nodeCounts(provider)).toBe(2);
  });
});

describe("listings", () => {
  it("S16 hold all pages, and a later page that fails fails all", async () => {
    for (let batch = 0; batch < 11; batch += 1) await rented(100, String(batch));
    expect((await bench.provider.listNodes()).nodes).toHaveLength(1_100);
    strike({
      action: "instances.aggregatedList",
      effect: { kind: "error", reason: "backendError", status: 503 },
      skipCount: 2,
      times: 2,
    });
    await expect(bench.provider.listNodes()).rejects.toMatchObject({ code: "unavailable" });
    strike({
      action: "instances.aggregatedList",
      effect: { kind: "error", reason: "forbidden", status: 403 },
      skipCount: 1,
    });
    await expect(bench.provider.listNodes()).rejects.toMatchObject({ code: "auth_failed" });
  });

  it("S28 a zone that cannot be reached hides its own machines and no others", async () => {
    const [there = ""] = await rented(1);
    const elsewhere = await offerIn("us-central1-b");
    const [here = ""] = await rented(1, "b", elsewhere);
    bench.emulator.configure({ unreachableZones: ["us-central1-a"] });
    const { nodes, unseen } = await bench.provider.listNodes();
    expect(nodes.map(({ providerNodeId }) => providerNodeId)).toEqual([here]);
    expect(unseen).toMatchObject([{ region: "us-central1", zone: "us-central1-a" }]);
    expect(unseen[0]?.reason).toContain("zones/us-central1-a");
    expect(await rented(1, "c", elsewhere)).toHaveLength(1);
    await bench.provider.release([here]);
    // What may have machines of the request already must be seen before it is rented from.
    const hidden = { code: "unavailable", retryable: true };
    await expect(rented(1, "d")).rejects.toMatchObject(hidden);
    await expect(bench.provider.release([there])).rejects.toMatchObject(hidden);
    bench.emulator.configure({ unreachableZones: [] });
    const again = await bench.provider.listNodes();
    expect(again.unseen).toEqual([]);
    expect(again.nodes.map(({ providerNodeId }) => providerNodeId)).toContain(there);
  });

  it("S28 a zone of which the answer itself says that it is missing counts as unseen", async () => {
    const zone = "projects/p/zones/us-east1-b";
    const effects = [
      { items: {}, unreachables: [zone] },
      { items: { "zones/us-east1-b": { warning: { code: "UNREACHABLE" } } } },
    ];
    for (const body of effects) {
      const effect = jsonBody({ kind: "compute#instanceAggregatedList", ...body });
      strike({ action: "instances.aggregatedList", effect });
      expect((await bench.provider.listNodes()).unseen).toMatchObject([
        { region: "us-east1", zone: "us-east1-b" },
      ]);
    }
    const effect = jsonBody({
      kind: "compute#instanceAggregatedList",
      items: {},
      unreachables: ["projects/p/global"],
    });
    strike({ action: "instances.aggregatedList", effect });
    await expect(bench.provider.listNodes()).rejects.toMatchObject({ code: "unavailable" });
  });

  it("S28 a reclaim in a zone that cannot be reached for a while is told of afterwards", async () => {
    const [id = ""] = await rented(1);
    await bench.provider.listNodes();
    bench.emulator.configure({ unreachableZones: ["us-central1-a"] });
    expect(await bench.provider.interruptions()).toEqual([]);
    bench.emulator.preempt({ instanceId: numberOf(id) });
    bench.emulator.configure({ unreachableZones: [] });
    expect(await bench.provider.interruptions()).toMatchObject([{ providerNodeId: id }]);
  });

  it("S16 throw when a proxy answers 200, with a page or with JSON of its own", async () => {
    await rented(1);
    const html = { kind: "body", status: 200, contentType: "text/html" } as const;
    for (const effect of [
      { ...html, body: "<html><body>Sign in</body></html>" },
      { ...html, body: "" },
      jsonBody({}),
      jsonBody([]),
      jsonBody({ kind: "compute#instanceList", items: [] }),
    ]) {
      strike({ action: "instances.aggregatedList", effect, times: 2 });
      await expect(bench.provider.listNodes()).rejects.toMatchObject({
        code: "unavailable",
        retryable: true,
      });
      bench.emulator.clearFaults();
    }
    expect((await bench.provider.listNodes()).nodes).toHaveLength(1);
  });

  it("repeat a read once whose connection was reset", async () => {
    await rented(1);
    strike({ action: "instances.aggregatedList", effect: { kind: "reset" } });
    expect((await bench.provider.listNodes()).nodes).toHaveLength(1);
  });

  it("S18 hold nothing of other clusters in the project, and releases do not touch it", async () => {
    const [id = ""] = await rented(1);
    const other = await bench.reopen({ clusterId: "cluster-2" });
    bench.emulator.preempt({ instanceId: numberOf(id) });
    expect((await other.listNodes()).nodes).toEqual([]);
    expect(await other.interruptions()).toEqual([]);
  });

  it("hold ten thousand machines", async () => {
    const emulator = await startGceEmulator({ clock: bench.clock, seed: "many" });
    const many = await bench.reopen({ endpoint: emulator.endpoint });
    const properties = {
      machineType: "e2-standard-8",
      labels: { flotilla_3acluster: "cluster-1" },
      networkInterfaces: [{}],
      disks: [{ boot: true, initializeParams: { sourceImage: "global/images/x" } }],
    };
    for (let batch = 0; batch < 10; batch += 1) {
      const response = await fetch(
        `${emulator.endpoint}/compute/v1/projects/emulated/zones/us-central1-a/instances/bulkInsert`,
        {
          method: "POST",
          body: JSON.stringify({
            count: "1000",
            namePattern: "many-#####",
            instanceProperties: properties,
          }),
        },
      );
      expect(response.status).toBe(200);
    }
    const { nodes } = await bench.passingTime(many.listNodes());
    expect(new Set(nodes.map(({ providerNodeId }) => providerNodeId)).size).toBe(10_000);
    await many.close();
    await emulator.close();
  });
});

describe("releases", () => {
  it("S23 are done when the machine is gone from the list, and not before", async () => {
    bench.emulator.configure({ shutdownMs: 20_000 });
    const ids = await rented(3);
    await bench.provider.release(ids.slice(0, 2));
    const states = async () => (await bench.provider.listNodes()).nodes.map(({ state }) => state);
    expect(await states()).toEqual(["terminating", "terminating", "booting"]);
    await bench.provider.release(ids.slice(0, 2));
    await bench.clock.advance(20_000);
    expect(await states()).toEqual(["booting"]);
    await bench.provider.release(ids);
    await bench.clock.advance(20_000);
    expect((await bench.provider.listNodes()).nodes).toEqual([]);
  });

  it("S23 that Compute Engine accepts and forgets leave the machine in the list", async () => {
    const [id = ""] = await rented(1);
    strike({
      action: "instances.delete",
      effect: { kind: "operation", code: "INTERNAL_ERROR" },
    });
    await bench.provider.release([id]);
    expect((await bench.provider.listNodes()).nodes).toMatchObject([{ providerNodeId: id }]);
    await bench.provider.release([id]);
    await bench.clock.advance(0);
    expect((await bench.provider.listNodes()).nodes).toEqual([]);
  });

  it("S23 that are told 404 about a listed machine throw", async () => {
    const ids = await rented(2);
    strike({
      action: "instances.delete",
      effect: { kind: "error", reason: "notFound", status: 404 },
    });
    await expect(bench.provider.release(ids)).rejects.toMatchObject({
      code: "unavailable",
      retryable: true,
    });
    await bench.provider.release(ids);
  });

  it("release the rest before they name an id of another form", async () => {
    const [id = ""] = await rented(1);
    await expect(bench.provider.release(["us-east-1/i-0123", id])).rejects.toMatchObject({
      code: "invalid_request",
    });
    await bench.clock.advance(0);
    expect(bench.emulator.instances()).toEqual([]);
  });

  it("S31 do not touch a machine that has the name of one that is gone", async () => {
    const [first = ""] = await rented(1);
    await bench.provider.release([first]);
    await bench.clock.advance(0);
    const { rented: again } = await bench.provider.rent({
      ...requestFor(1),
      clientToken: "token-2",
    });
    const second = again[0]?.providerNodeId ?? "";
    expect(second.replace(/\d+$/, "")).toBe(first.replace(/\d+$/, ""));
    expect(second).not.toBe(first);
    await bench.provider.release([first]);
    await bench.clock.advance(0);
    expect((await bench.provider.listNodes()).nodes).toMatchObject([{ providerNodeId: second }]);
  });
});

describe("interruptions", () => {
  it("S24 have the 30 seconds that Compute Engine gives, and are told until the machine is forgotten", async () => {
    const [id = ""] = await rented(1);
    await bench.clock.advance(BOOT_MS);
    const noticedAtMs = bench.clock.nowMs();
    bench.emulator.preempt({ instanceId: numberOf(id) });
    const expected = [{ providerNodeId: id, noticedAtMs, deadlineMs: noticedAtMs + 30_000 }];
    expect(await bench.provider.interruptions()).toEqual(expected);
    expect((await bench.provider.listNodes()).nodes).toMatchObject([{ state: "terminating" }]);
    await bench.clock.advance(30_000);
    expect((await bench.provider.listNodes()).nodes).toEqual([]);
    expect(await bench.provider.interruptions()).toEqual(expected);
  });

  it("S24 without a notice are told when the machine is gone", async () => {
    const [id = ""] = await rented(1);
    bench.emulator.preempt({ instanceId: numberOf(id), withoutNotice: true });
    await bench.clock.advance(0);
    expect((await bench.provider.listNodes()).nodes).toEqual([]);
    expect(await bench.provider.interruptions()).toMatchObject([{ providerNodeId: id }]);
  });

  it("S25 an hour old, or of machines that nobody knows, are not told", async () => {
    const [id = ""] = await rented(1);
    bench.emulator.preempt({ instanceId: numberOf(id) });
    const restarted = await bench.reopen();
    await bench.clock.advance(30_000);
    expect(await restarted.interruptions()).toEqual([]);
    expect(await bench.provider.interruptions()).toHaveLength(1);
    await bench.clock.advance(3_600_000);
    expect(await bench.provider.interruptions()).toEqual([]);
  });

  it("of a machine that was released there are none", async () => {
    await bench.provider.release(await rented(1));
    expect(await bench.provider.interruptions()).toEqual([]);
  });
});

describe("deadlines", () => {
  const changeMs = 30_000;
  const readMs = 5_000;
  const hungCount = () =>
    bench.emulator.journal().filter(({ failure }) => failure === "hang").length;

  it("S30 a listing that is never answered ends at its deadline", async () => {
    const provider = await bench.reopen({ timeouts: { readMs, changeMs } });
    strike({ action: "instances.aggregatedList", effect: { kind: "hang" } });
    const listing = provider.listNodes();
    const failure = expect(listing).rejects.toMatchObject({ code: "timed_out", retryable: true });
    await expect.poll(hungCount).toBe(1);
    await bench.clock.advance(readMs);
    await failure;
  });

  it("S30 a rent that is never answered ends at its deadline, and repeating it is harmless", async () => {
    const provider = await bench.reopen({ timeouts: { readMs: 86_400_000, changeMs } });
    bench.emulator.injectFault({
      action: "instances.insert",
      when: "after",
      effect: { kind: "hang" },
    });
    const renting = provider.rent(requestFor(1));
    const failure = expect(renting).rejects.toMatchObject({ code: "timed_out", retryable: true });
    await expect.poll(hungCount).toBe(1);
    await bench.clock.advance(changeMs);
    await failure;
    expect((await provider.rent(requestFor(1))).rented).toHaveLength(1);
    expect(bench.emulator.instances()).toHaveLength(1);
  });
});

describe("createGcpProvider", () => {
  it("keeps to the rates it is given, and does all that was asked", async () => {
    const provider = await bench.reopen({ limitOf: () => ({ perSecond: 1, burst: 1 }) });
    const { rented: machines } = await bench.passingTime(provider.rent(requestFor(1, "first")));
    const before = bench.clock.nowMs();
    const work = Promise.all([
      provider.rent(requestFor(1, "second")),
      provider.rent(requestFor(1, "third")),
      provider.release(machines.map(({ providerNodeId }) => providerNodeId)),
    ]);
    await bench.passingTime(work);
    expect(bench.clock.nowMs() - before).toBeGreaterThanOrEqual(2_000);
    expect(
      bench.emulator
        .instances()
        .map(({ name }) => name)
        .sort(),
    ).toEqual(["no-secondx0", "no-thirdx0"]);
  });

  it("refuses to open without a region or a project", async () => {
    const { clock } = bench;
    const options = { clusterId: "c", clock };
    for (const missing of [
      { regions: [], projectId: "p" },
      { regions: ["us-central1"], projectId: "" },
    ]) {
      await expect(createGcpProvider({ ...options, ...missing })).rejects.toMatchObject({
        code: "invalid_request",
      });
    }
  });
});
