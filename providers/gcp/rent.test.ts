import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { assert, type Offer } from "../../core/index.ts";
import type { RentRequest } from "../provider.ts";
import { BOOT_MS, openGcpBench, type GcpBench } from "./test-bench.ts";

let bench: GcpBench;
let offers: readonly Offer[];
beforeEach(async () => {
  bench = await openGcpBench();
  offers = await bench.provider.listOffers();
});
afterEach(() => bench.close());

const H100_A = "gcp/us-central1/us-central1-a/a3-highgpu-8g/spot";
const H100_B = "gcp/us-central1/us-central1-b/a3-highgpu-8g/spot";
const L4_A = "gcp/us-central1/us-central1-a/g2-standard-48/spot";
const T4_A = "gcp/us-central1/us-central1-a/n1-standard-8+1xT4/on-demand";
const E2_A = "gcp/us-central1/us-central1-a/e2-standard-8/on-demand";

function offerOf(offerId: string): Offer {
  const offer = offers.find((one) => one.offerId === offerId);
  assert(offer !== undefined, `the catalog has ${offerId}`);
  return offer;
}

function requestFor(offerIds: readonly string[], count = 1, id = "1"): RentRequest {
  return {
    offers: offerIds.map(offerOf),
    nodeIds: Array.from({ length: count }, (_, index) => `no_${id}x${index}`),
    clientToken: `Token_${id}`,
    userData: "#cloud-config\n",
    tags: { "flotilla:plan": "pl_1", owner: "a & b" },
  };
}

const changes = () =>
  bench.emulator.journal().filter(({ action }) => /insert|bulkInsert/i.test(action));

describe("what Compute Engine is asked for", () => {
  it("one machine by insert, named after its node, with tags, user data and Spot rules", async () => {
    const { rented } = await bench.provider.rent(requestFor([H100_A]));
    const [machine] = bench.emulator.instances();
    expect(rented).toEqual([
      {
        nodeId: "no_1x0",
        providerNodeId: `us-central1-a/no-1x0/${machine?.instanceId ?? ""}`,
        offerId: H100_A,
      },
    ]);
    expect(machine?.labels).toEqual({
      flotilla_3aplan: "pl_5f1",
      flotilla_3acluster: "cluster-1",
      flotilla_3abatch: "_54oken_5f1",
      owner: "a_20_26_20b",
    });
    const [call] = changes();
    expect(call?.action).toBe("instances.insert");
    const { requestId = "", body = "{}" } = call?.params ?? {};
    expect(requestId).toMatch(/^[0-9a-f-]{36}$/);
    expect(JSON.parse(body)).toMatchObject({
      name: "no-1x0",
      machineType: "zones/us-central1-a/machineTypes/a3-highgpu-8g",
      metadata: { items: [{ key: "user-data", value: "<14 characters>" }] },
      scheduling: {
        provisioningModel: "SPOT",
        instanceTerminationAction: "DELETE",
        onHostMaintenance: "TERMINATE",
        automaticRestart: false,
      },
      disks: [
        {
          boot: true,
          autoDelete: true,
          initializeParams: { diskType: "zones/us-central1-a/diskTypes/pd-balanced" },
        },
      ],
    });
    expect(JSON.parse(body)).not.toHaveProperty("serviceAccounts");
  });

  it("attaches accelerators to general machines, in both kinds of call", async () => {
    for (const [count, id] of [
      [1, "1"],
      [2, "2"],
    ] as const) {
      const { rented } = await bench.provider.rent(requestFor([T4_A], count, id));
      expect(rented.map(({ offerId }) => offerId)).toEqual(Array(count).fill(T4_A));
    }
    expect(bench.emulator.instances().map(({ instanceType }) => instanceType)).toEqual(
      Array(3).fill("n1-standard-8+1xT4"),
    );
    const bodies = changes().map(({ params }) => params["body"] ?? "");
    expect(bodies[0]).toContain('"zones/us-central1-a/acceleratorTypes/nvidia-tesla-t4"');
    expect(bodies[1]).toContain('"acceleratorType":"nvidia-tesla-t4"');
  });

  it("lets a machine without GPUs on demand move to another host", async () => {
    await bench.provider.rent(requestFor([E2_A]));
    expect(changes()[0]?.params["body"]).toContain('"onHostMaintenance":"MIGRATE"');
  });

  it("a hundred machines in one change, and four calls in all", async () => {
    const { rented } = await bench.provider.rent(requestFor([H100_A], 100));
    expect(new Set(rented.map(({ providerNodeId }) => providerNodeId)).size).toBe(100);
    const actions = bench.emulator.journal().map(({ action }) => action);
    expect(actions.filter((action) => action !== "regions.get")).toEqual([
      "instances.aggregatedList",
      "instances.bulkInsert",
      "zoneOperations.wait",
      "zoneOperations.list",
    ]);
  });
});

describe("a rent that goes wrong", () => {
  it("S2 a process that died after the call took effect: its successor adopts the machines", async () => {
    const request = requestFor([H100_A], 3);
    const first = await bench.provider.rent(request);
    const successor = await bench.reopen();
    expect(await successor.rent(request)).toEqual(first);
    expect(bench.emulator.instances()).toHaveLength(3);
    expect(changes()).toHaveLength(1);
  });

  it.each([
    ["reset", { kind: "reset" }],
    ["500", { kind: "error", reason: "internalError", status: 500 }],
    ["page", { kind: "body", status: 200, contentType: "text/html", body: "<html></html>" }],
    ["empty", { kind: "body", status: 200, contentType: "application/json", body: "{}" }],
  ] as const)("S3 replies lost three times (%s) lead to one machine a node", async (_, effect) => {
    bench.emulator.configure({ visibilityMs: 60_000 });
    for (const count of [1, 3]) {
      const request = requestFor([H100_A, H100_B], count, String(count));
      bench.emulator.injectFault({
        action: count === 1 ? "instances.insert" : "instances.bulkInsert",
        when: "after",
        effect,
        times: 3,
      });
      for (let attempt = 0; attempt < 3; attempt += 1) {
        await expect(bench.provider.rent(request)).rejects.toMatchObject({
          code: "unavailable",
          retryable: true,
        });
      }
      const { rented } = await bench.provider.rent(request);
      expect(rented.map(({ nodeId }) => nodeId)).toEqual(request.nodeIds);
    }
    const zones = bench.emulator.instances().map(({ zone }) => zone);
    expect(zones).toEqual(Array(4).fill("us-central1-a"));
  });

  it("S3 an operation that is not done in time is unknown, and no other offer is tried", async () => {
    bench.emulator.configure({ operationMs: 300_000 });
    const request = requestFor([H100_A, H100_B], 2);
    await expect(bench.passingTime(bench.provider.rent(request))).rejects.toMatchObject({
      code: "timed_out",
      retryable: true,
    });
    expect(new Set(changes().map(({ place }) => place))).toEqual(new Set(["us-central1-a"]));
    await bench.clock.advance(300_000);
    const { rented } = await bench.provider.rent(request);
    expect(rented).toHaveLength(2);
    expect(bench.emulator.instances()).toHaveLength(2);
  });

  it("S3 waits through failing looks at the operation", async () => {
    bench.emulator.configure({ operationMs: 10_000 });
    bench.emulator.injectFault({
      action: "zoneOperations.wait",
      when: "before",
      effect: { kind: "error", reason: "backendError", status: 503 },
      times: 3,
    });
    const { rented } = await bench.passingTime(bench.provider.rent(requestFor([H100_A], 2)));
    expect(rented).toHaveLength(2);
  });

  it("S4 the same token with other user data adopts what it rented", async () => {
    const request = requestFor([H100_A], 2);
    const first = await bench.provider.rent(request);
    expect(await bench.provider.rent({ ...request, userData: "other" })).toEqual(first);
    expect(bench.emulator.instances()).toHaveLength(2);
  });

  it("S4 a name that another batch or another cluster has is a conflict", async () => {
    await bench.provider.rent(requestFor([H100_A]));
    for (const count of [1, 2]) {
      const request = { ...requestFor([H100_A], count), clientToken: "other" };
      await expect(bench.provider.rent(request)).rejects.toMatchObject({ code: "conflict" });
    }
    const stranger = await bench.reopen({ clusterId: "cluster-2" });
    await expect(
      stranger.rent({ ...requestFor([H100_A]), clientToken: "x" }),
    ).rejects.toMatchObject({
      code: "conflict",
    });
  });

  it("S4 machines are adopted by their names when the request ids are forgotten", async () => {
    bench.emulator.configure({ requestMemoryMs: 60_000 });
    const requests = [requestFor([H100_A], 1, "1"), requestFor([H100_A], 4, "2")];
    const first = [];
    for (const request of requests) first.push(await bench.provider.rent(request));
    await bench.clock.advance(60_000);
    bench.emulator.configure({ flickerMs: 3_600_000, flickerFraction: 0.5 });
    for (let repeat = 0; repeat < 12; repeat += 1) {
      for (const [index, request] of requests.entries()) {
        const [again] = await Promise.allSettled([bench.provider.rent(request)]);
        if (again.status === "rejected") {
          expect(again.reason).toMatchObject({ code: "unavailable", retryable: true });
        } else {
          expect(again.value).toEqual(first[index]);
        }
      }
    }
    expect(bench.emulator.instances()).toHaveLength(5);
  });

  it("S4 machines are adopted from the list, whatever zone they are in, when ids are forgotten", async () => {
    bench.emulator.configure({ requestMemoryMs: 60_000 });
    bench.emulator.setCapacity({ zone: "us-central1-a", instanceCountMax: 2 });
    const request = requestFor([H100_A, H100_B], 4);
    const first = await bench.provider.rent(request);
    await bench.clock.advance(60_000);
    bench.emulator.setCapacity({ zone: "us-central1-a" });
    expect((await bench.provider.rent(request)).rented).toEqual(first.rented);
    expect(bench.emulator.instances()).toHaveLength(4);
  });

  it("S5 part of a batch here, part there: each node one machine, each refusal with its reason", async () => {
    bench.emulator.setCapacity({ zone: "us-central1-a", instanceCountMax: 2 });
    bench.emulator.setCapacity({ zone: "us-central1-b", instanceCountMax: 1 });
    const request = requestFor([H100_A, H100_B], 5);
    const { rented, refusals } = await bench.provider.rent(request);
    expect(rented.map(({ nodeId, offerId }) => [nodeId, offerId])).toEqual([
      ["no_1x0", H100_A],
      ["no_1x1", H100_A],
      ["no_1x2", H100_B],
    ]);
    expect(refusals).toMatchObject([
      { offerId: H100_A, scope: { kind: "offer" } },
      { offerId: H100_B, scope: { kind: "offer" } },
    ]);
    expect(refusals[0]?.reason).toContain("ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS");
  });

  it("S5 the same when the request is repeated by a process that has started again", async () => {
    bench.emulator.setCapacity({ zone: "us-central1-a", instanceCountMax: 2 });
    const request = requestFor([H100_A, H100_B], 5);
    bench.emulator.configure({ visibilityMs: 60_000 });
    const first = await bench.provider.rent(request);
    bench.emulator.setCapacity({ zone: "us-central1-a" });
    expect((await (await bench.reopen()).rent(request)).rented).toEqual(first.rented);
    await bench.clock.advance(60_000);
    expect((await (await bench.reopen()).rent(request)).rented).toEqual(first.rented);
    expect(bench.emulator.instances()).toHaveLength(5);
  });

  it("S6 machines that are not listed yet are known by their operations", async () => {
    bench.emulator.configure({ visibilityMs: 30_000, flickerMs: 60_000, flickerFraction: 0.5 });
    const request = requestFor([H100_A], 4);
    const { rented } = await bench.provider.rent(request);
    expect((await bench.provider.listNodes()).nodes).toEqual([]);
    const ids = new Set(rented.map(({ providerNodeId }) => providerNodeId));
    await bench.clock.advance(30_000);
    for (let look = 0; look < 5; look += 1) {
      expect((await bench.provider.rent(request)).rented).toEqual(rented);
      for (const { providerNodeId } of (await bench.provider.listNodes()).nodes) {
        expect(ids).toContain(providerNodeId);
      }
    }
    await bench.clock.advance(30_000);
    expect((await bench.provider.listNodes()).nodes).toHaveLength(4);
    expect(bench.emulator.instances()).toHaveLength(4);
  });

  it("S6 where the operations do not name them the list is asked, and a short one is unknown", async () => {
    const request = requestFor([H100_A], 3);
    const empty = JSON.stringify({ kind: "compute#operationList" });
    const hideOperations = () =>
      bench.emulator.injectFault({
        action: "zoneOperations.list",
        when: "before",
        effect: { kind: "body", status: 200, contentType: "application/json", body: empty },
      });
    bench.emulator.configure({ visibilityMs: 10_000 });
    hideOperations();
    await expect(bench.provider.rent(request)).rejects.toMatchObject({ code: "unavailable" });
    bench.emulator.configure({ visibilityMs: 0 });
    const other = requestFor([H100_B], 3, "2");
    hideOperations();
    expect((await bench.provider.rent(other)).rented).toHaveLength(3);
    expect((await bench.provider.rent(request)).rented).toHaveLength(3);
    expect(bench.emulator.instances()).toHaveLength(6);
  });

  it("S7 a machine that dies at boot is listed as going, never as running, and then deleted", async () => {
    bench.emulator.setBoot({ outcome: "dies" });
    const { rented } = await bench.provider.rent(requestFor([H100_A]));
    await bench.clock.advance(BOOT_MS);
    expect(bench.emulator.instances()).toMatchObject([{ status: "TERMINATED" }]);
    bench.emulator.injectFault({
      action: "instances.delete",
      when: "before",
      effect: { kind: "error", reason: "backendError", status: 503 },
    });
    for (let look = 0; look < 2; look += 1) {
      expect((await bench.provider.listNodes()).nodes).toMatchObject([
        { providerNodeId: rented[0]?.providerNodeId, state: "terminating" },
      ]);
    }
    await bench.clock.advance(0);
    expect((await bench.provider.listNodes()).nodes).toEqual([]);
    expect(bench.emulator.instances()).toEqual([]);
  });

  it("S7 a machine that is taken back while it is made is refused as its offer", async () => {
    bench.emulator.injectFault({
      action: "instances.insert",
      when: "before",
      effect: { kind: "operation", code: "UNSUPPORTED_OPERATION", status: 400 },
    });
    const { rented, refusals } = await bench.provider.rent(requestFor([H100_A]));
    expect(rented).toEqual([]);
    expect(refusals).toMatchObject([{ offerId: H100_A, scope: { kind: "offer" } }]);
  });

  it.each(["ZONE_RESOURCE_POOL_EXHAUSTED", "ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS"] as const)(
    "S10 a zone that is short (%s) refuses its own offer and not that of the next zone",
    async (stockoutCode) => {
      bench.emulator.configure({ stockoutCode });
      bench.emulator.setCapacity({ zone: "us-central1-a", market: "spot", instanceCountMax: 0 });
      const { rented, refusals } = await bench.provider.rent(requestFor([H100_A, H100_B]));
      expect(rented).toMatchObject([{ offerId: H100_B }]);
      expect(refusals).toMatchObject([{ offerId: H100_A, scope: { kind: "offer" } }]);
      expect(refusals[0]?.reason).toMatch(new RegExp(`^${stockoutCode}: `));
    },
  );
});

describe("quotas, credentials and rates", () => {
  it("S12 a regional quota refuses all offers it binds, with one call, and no others", async () => {
    bench.emulator.setQuota({
      region: "us-central1",
      metric: "PREEMPTIBLE_NVIDIA_H100_GPUS",
      limit: 7,
    });
    const { rented, refusals } = await bench.provider.rent(requestFor([H100_A, H100_B, L4_A], 2));
    expect(rented.map(({ offerId }) => offerId)).toEqual([L4_A, L4_A]);
    const scope = { kind: "quota", quotaGroup: "gcp/us-central1/NVIDIA_H100_GPUS/spot" };
    expect(refusals).toMatchObject([
      { offerId: H100_A, scope },
      { offerId: H100_B, scope },
    ]);
    expect(changes()).toHaveLength(2);
  });

  it("S12 a quota for part of a batch gives that part, and refuses the rest by its group", async () => {
    bench.emulator.setQuota({
      region: "us-central1",
      metric: "PREEMPTIBLE_NVIDIA_H100_GPUS",
      limit: 16,
    });
    const { rented, refusals } = await bench.provider.rent(requestFor([H100_A, H100_B], 3));
    expect(rented).toHaveLength(2);
    expect(refusals.map(({ scope }) => scope.kind)).toEqual(["quota", "quota"]);
  });

  it("S12 GPUS_ALL_REGIONS refuses the whole cloud, with one call", async () => {
    bench.emulator.setQuota({ metric: "GPUS_ALL_REGIONS", limit: 0 });
    const { rented, refusals } = await bench.provider.rent(requestFor([H100_A, L4_A]));
    expect(rented).toEqual([]);
    expect(refusals.map(({ scope }) => scope)).toEqual([{ kind: "cloud" }, { kind: "cloud" }]);
    expect(changes()).toHaveLength(1);
  });

  it("S12 a quota that is told at once is a refusal like one that the operation tells", async () => {
    bench.emulator.injectFault({
      action: "instances.insert",
      when: "before",
      effect: { kind: "error", reason: "quotaExceeded", status: 403, message: "Quota exceeded." },
    });
    const { refusals } = await bench.provider.rent(requestFor([H100_A]));
    expect(refusals).toMatchObject([{ scope: { kind: "quota" } }]);
  });

  it("S14 credentials that are refused fail, and are no refusal of an offer", async () => {
    bench.emulator.injectFault({
      action: "instances.insert",
      when: "before",
      effect: { kind: "error", reason: "forbidden", status: 403 },
    });
    await expect(bench.provider.rent(requestFor([H100_A]))).rejects.toMatchObject({
      code: "auth_failed",
      retryable: false,
    });
  });

  it("S15 a throttled call is repeated after a while, and blocks no offer", async () => {
    bench.emulator.setRate({ kind: "change", rate: { burst: 1, perSecond: 0.5 } });
    const rents = ["1", "2", "3"].map((id) => bench.provider.rent(requestFor([H100_A], 1, id)));
    const outcomes = await bench.passingTime(Promise.all(rents));
    expect(outcomes.flatMap(({ rented }) => rented)).toHaveLength(3);
    expect(outcomes.flatMap(({ refusals }) => refusals)).toEqual([]);
    const throttled = changes().filter(({ failure }) => failure === "rateLimitExceeded");
    expect(throttled.length).toBeGreaterThan(0);
  });

  it("S22 tags are given when a machine is made, and no later call writes them", async () => {
    await bench.provider.rent(requestFor([H100_A], 3));
    expect(bench.emulator.journal().map(({ action }) => action)).not.toContain(
      "instances.setLabels",
    );
    const labels = bench.emulator.instances().map((machine) => machine.labels);
    expect(labels.every((one) => one["flotilla_3acluster"] === "cluster-1")).toBe(true);
  });
});
