import { EC2Client, RunInstancesCommand } from "@aws-sdk/client-ec2";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { assert, type Offer } from "../../core/index.ts";
import type { PriceSheet } from "../catalog/index.ts";
import { testProvider } from "../conformance.ts";
import { startEc2Emulator, type Ec2Emulator, type Fault } from "../emulators/ec2/index.ts";
import { createManualClock, type ManualClock } from "../fake/index.ts";
import type { Provider, RentRequest } from "../provider.ts";
import { READ_DEADLINE_MS } from "../rate-limit.ts";
import { createAwsProvider, type AwsProviderOptions } from "./provider.ts";

const BOOT_MS = 30_000;
/** The SDK tries a call this often. */
const TRIES = 3;
const credentials = { accessKeyId: "AKIAFAKE", secretAccessKey: "fake" };

async function open(options: Partial<AwsProviderOptions> = {}) {
  const clock = createManualClock(1_800_000_000_000);
  const emulator = await startEc2Emulator({ clock, settings: { bootMs: BOOT_MS }, seed: "test" });
  const provider = await createAwsProvider({
    regions: ["us-east-1", "us-west-2"],
    clusterId: "cluster-1",
    clock,
    endpoint: emulator.endpoint,
    credentials,
    emulated: true,
    bootMs: BOOT_MS,
    limitOf: () => ({ burst: 1_000, perSecond: 1_000 }),
    ...options,
  });
  const close = async () => {
    await provider.close();
    await emulator.close();
  };
  return { clock, emulator, provider, close };
}

testProvider("aws over the EC2 emulator", async () => {
  const { clock, emulator, provider, close } = await open();
  return {
    provider,
    limitRoom: async ({ instanceType, region, purchase }, nodeCount) =>
      emulator.setCapacity({
        instanceType,
        region,
        market: purchase === "spot" ? "spot" : "on-demand",
        instanceCountMax: nodeCount,
      }),
    exhaustQuota: async ({ quotaGroups }) => {
      for (const quotaGroup of quotaGroups) emulator.setQuota({ quotaGroup, vcpuCountMax: 0 });
    },
    passBoot: () => clock.advance(BOOT_MS),
    loseNextRentReply: async () => {
      emulator.injectFault({
        action: "RunInstances",
        when: "after",
        effect: { kind: "reset" },
        times: TRIES,
      });
      emulator.injectFault({
        action: "CreateFleet",
        when: "after",
        effect: { kind: "reset" },
        times: TRIES,
      });
    },
    breakNextListing: async () =>
      emulator.injectFault({
        action: "DescribeInstances",
        place: "us-east-1",
        when: "before",
        effect: { kind: "error", code: "InternalError", status: 500 },
        times: TRIES,
      }),
    close,
  };
});

describe("createAwsProvider", () => {
  let clock: ManualClock;
  let emulator: Ec2Emulator;
  let provider: Provider;
  let close: () => Promise<void>;
  let h100: Offer;
  let spot: Offer;

  beforeEach(async () => {
    ({ clock, emulator, provider, close } = await open());
    const offers = await provider.listOffers();
    h100 = offers.find(({ offerId }) => offerId === "aws/us-east-1/*/p5.48xlarge/on-demand")!;
    spot = offers.find(({ offerId }) => offerId === "aws/us-west-2/us-west-2a/p5.48xlarge/spot")!;
  });
  afterEach(() => close());

  const request = (offer: Offer, id = "1"): RentRequest => ({
    offers: [offer],
    nodeIds: [`no_${id}`],
    clientToken: `token-${id}`,
    userData: "#cloud-config\n",
    tags: { plan: "pl_1" },
  });
  const rented = async (offer: Offer, id?: string): Promise<string> => {
    const { rented: machines, refusals } = await provider.rent(request(offer, id));
    const [machine] = machines;
    if (machine === undefined) throw new Error(refusals[0]?.reason);
    return machine.providerNodeId;
  };
  const strike = (action: string, effect: Fault["effect"], times = 1) =>
    emulator.injectFault({ action, when: "before", effect, times });

  it("lists the catalog's offers of its regions, named as emulated", async () => {
    const offers = await provider.listOffers();
    expect(new Set(offers.map(({ region }) => region))).toEqual(
      new Set(["us-east-1", "us-west-2"]),
    );
    expect(offers.every(({ emulated, bootMs }) => emulated && bootMs === BOOT_MS)).toBe(true);
  });

  it("lists on-demand offers at the prices of AWS's list, as they are at each listing", async () => {
    let microUsdPerHour = 50_000_000;
    const sheets = (): readonly PriceSheet[] => [
      {
        cloud: "aws",
        region: "us-east-1",
        source: "EC2 price list",
        readAtMs: clock.nowMs(),
        prices: [{ instanceType: "p5.48xlarge", purchase: "on-demand", microUsdPerHour }],
      },
    ];
    const own = await open({ sheets });
    const priceNow = async (): Promise<unknown> =>
      (await own.provider.listOffers()).find(({ offerId }) => offerId === h100.offerId);
    expect(await priceNow()).toMatchObject({ priceMicroUsdPerHour: 50_000_000 });
    microUsdPerHour = 60_000_000;
    expect(await priceNow()).toMatchObject({
      priceMicroUsdPerHour: 60_000_000,
      pricedAtMs: clock.nowMs(),
    });
    await own.close();
  });

  it("tags an instance at birth, hands over the user data and asks for IMDSv2", async () => {
    await rented(h100);
    const call = emulator.journal().find(({ action }) => action === "RunInstances");
    expect(call?.params).toMatchObject({
      InstanceInitiatedShutdownBehavior: "terminate",
      InstanceType: "p5.48xlarge",
      "MetadataOptions.HttpTokens": "required",
      UserData: `<${String(Buffer.from("#cloud-config\n").toString("base64").length)} characters>`,
    });
    expect(emulator.instances()[0]?.tags).toMatchObject({
      "flotilla:batch": "token-1",
      "flotilla:cluster": "cluster-1",
      "flotilla:node": "no_1",
      Name: "no_1",
      plan: "pl_1",
    });
  });

  it("rents spot in the region of the offer, from the spot market", async () => {
    expect(await rented(spot)).toMatch(/^us-west-2\/i-0[0-9a-f]{16}$/);
    expect(emulator.instances()).toMatchObject([{ region: "us-west-2", market: "spot" }]);
  });

  it("S3: heals a lost reply inside one rent: the SDK repeats it under the same token", async () => {
    emulator.injectFault({ action: "RunInstances", when: "after", effect: { kind: "reset" } });
    await rented(h100);
    expect(emulator.instances()).toHaveLength(1);
    const launches = emulator.journal().filter(({ action }) => action === "RunInstances");
    expect(launches.map(({ attempt, applied }) => ({ attempt, applied }))).toEqual([
      { attempt: 1, applied: true },
      { attempt: 2, applied: true },
    ]);
  });

  it("S4: adopts its instance when the same token is sent with other user data", async () => {
    const first = await rented(h100);
    const again = await provider.rent({ ...request(h100), userData: "other" });
    expect(again.rented).toMatchObject([{ nodeId: "no_1", providerNodeId: first }]);
    expect(emulator.instances()).toHaveLength(1);
  });

  it("S30: says timed_out when EC2 never answers, at the deadline it was given", async () => {
    const hang = { place: "us-east-1", when: "before", effect: { kind: "hang" } } as const;
    const expected = { name: "PlatformError", code: "timed_out", retryable: true };
    const asking = {
      readMs: () => provider.listNodes(),
      changeMs: () => provider.rent(request(h100)),
    };
    for (const [deadline, ask] of Object.entries(asking)) {
      await close();
      ({ emulator, provider, close } = await open({
        regions: ["us-east-1"],
        timeouts: { [deadline]: 40 },
      }));
      emulator.injectFault({ ...hang, times: TRIES });
      await expect(ask()).rejects.toMatchObject(expected);
      expect(emulator.journal().filter(({ failure }) => failure === "hang")).toHaveLength(TRIES);
    }
  });

  it("S16: has not seen a region whose proxy answers 200 with a page, and rents nothing by it", async () => {
    await rented(h100);
    const page = { kind: "body", status: 200, contentType: "text/html" } as const;
    for (const body of ["<html><body>Sign in</body></html>", "not even markup", "<p>open", ""]) {
      strike("DescribeInstances", { ...page, body });
      expect(await provider.listNodes()).toMatchObject({
        nodes: [],
        unseen: [{ region: "us-east-1" }],
      });
      strike("RunInstances", { ...page, body });
      await expect(provider.rent(request(h100, "2"))).rejects.toMatchObject({
        code: "unavailable",
      });
    }
    expect((await provider.listNodes()).nodes).toHaveLength(1);
  });

  it("S16: lists all pages, and none of a region when a later one fails", async () => {
    await launchMany(emulator, 1_200);
    const nodes = (await provider.listNodes()).nodes;
    expect(new Set(nodes.map(({ providerNodeId }) => providerNodeId)).size).toBe(1_200);
    for (const effect of [
      { kind: "error", code: "UnauthorizedOperation", status: 403 },
      { kind: "body", status: 200, contentType: "text/html", body: "<html></html>" },
    ] as const) {
      emulator.injectFault({
        action: "DescribeInstances",
        place: "us-east-1",
        when: "before",
        skipCount: 1,
        effect,
      });
      const { nodes: seen, unseen } = await provider.listNodes();
      expect(seen).toEqual([]);
      expect(unseen.map(({ region }) => region)).toEqual(["us-east-1"]);
    }
  });

  describe.each([
    { kind: "reset" },
    { kind: "error", code: "Unavailable", status: 503 },
    { kind: "error", code: "AuthFailure", status: 401 },
    { kind: "hang" },
  ] as const)("a region that answers by $kind $code", (effect) => {
    it("S28: hides its own machines and no others, and the other region rents as before", async () => {
      const offers = await provider.listOffers();
      const western = offers.find(
        ({ offerId }) => offerId === "aws/us-west-2/*/p5.48xlarge/on-demand",
      );
      assert(western !== undefined, "there is an H100 in the other region");
      const west = await rented(western, "2");
      const east = await rented(h100);
      emulator.injectFault({ place: "us-east-1", when: "before", effect, fraction: 1 });
      const asked = Promise.all([provider.listNodes(), provider.interruptions()]);
      if (effect.kind === "hang") {
        const hungCount = () =>
          emulator.journal().filter(({ failure }) => failure === "hang").length;
        await expect.poll(hungCount).toBe(2);
        await clock.advance(READ_DEADLINE_MS);
      }
      const [{ nodes, unseen }] = await asked;
      expect(nodes.map(({ providerNodeId }) => providerNodeId)).toEqual([west]);
      expect(unseen.map(({ region }) => region)).toEqual(["us-east-1"]);
      expect((await provider.rent(request(western, "3"))).rented).toHaveLength(1);
      emulator.clearFaults();
      const again = await provider.listNodes();
      expect(again).toMatchObject({ unseen: [] });
      expect(again.nodes.map(({ providerNodeId }) => providerNodeId)).toContain(east);
    });
  });

  it("S28: a release in a region that is down fails, and in others it is done", async () => {
    const east = await rented(h100);
    const west = await rented(spot, "2");
    emulator.injectFault({
      place: "us-east-1",
      when: "before",
      effect: { kind: "reset" },
      fraction: 1,
    });
    await expect(provider.release([east, west])).rejects.toMatchObject({ retryable: true });
    await clock.advance(0);
    const states = new Map(emulator.instances().map(({ region, state }) => [region, state]));
    expect(states.get("us-east-1")).toBe("pending");
    expect(states.get("us-west-2")).toBe("terminated");
  });

  it("S28: throws when every region fails, with what the first one said", async () => {
    const effect = { kind: "error", code: "Unavailable", status: 503 } as const;
    emulator.injectFault({ when: "before", effect, fraction: 1 });
    const message = expect.stringContaining("us-east-1") as unknown;
    const expected = { code: "unavailable", message };
    await expect(provider.listNodes()).rejects.toMatchObject(expected);
    await expect(provider.interruptions()).rejects.toMatchObject(expected);
  });

  it("releases more machines than fit into one call", async () => {
    await launchMany(emulator, 450);
    const ids = (await provider.listNodes()).nodes.map(({ providerNodeId }) => providerNodeId);
    await provider.release([...ids, "us-east-1/i-0123456789abcdef0"]);
    await clock.advance(0);
    expect(emulator.instances().every(({ state }) => state === "terminated")).toBe(true);
  });

  it("S18: sees nothing of other clusters in the account and does not touch it", async () => {
    const other = await createAwsProvider({
      regions: ["us-east-1"],
      clusterId: "cluster-2",
      clock,
      endpoint: emulator.endpoint,
      credentials,
    });
    await rented(h100);
    expect((await other.listNodes()).nodes).toEqual([]);
    expect(await other.interruptions()).toEqual([]);
    await other.close();
  });

  it("releases what exists of a batch with ids that do not", async () => {
    const ids = [await rented(h100, "1"), await rented(h100, "2"), await rented(spot, "3")];
    await provider.release([...ids, "us-east-1/i-0123456789abcdef0", "us-east-1/i-12"]);
    await clock.advance(0);
    expect(new Set(emulator.instances().map(({ state }) => state))).toEqual(
      new Set(["terminated"]),
    );
  });

  it("S31: knows a machine by its region and its id, not by the id alone", async () => {
    const id = await rented(h100);
    const [, instanceId = ""] = id.split("/");
    await provider.release([`us-west-2/${instanceId}`]);
    await clock.advance(0);
    expect((await provider.listNodes()).nodes).toMatchObject([
      { providerNodeId: id, state: "booting" },
    ]);
  });

  it("S31: does not take a successor for the machine that had its node's id before", async () => {
    const first = await rented(h100);
    await provider.release([first]);
    await clock.advance(0);
    const { rented: again } = await provider.rent({ ...request(h100), clientToken: "token-2" });
    const second = again[0]?.providerNodeId ?? "";
    expect(second).not.toBe(first);
    await provider.release([first]);
    await clock.advance(0);
    expect((await provider.listNodes()).nodes).toMatchObject(
      [
        { providerNodeId: first, state: "terminated" },
        { providerNodeId: second, state: "booting" },
      ].sort((one, other) => (one.providerNodeId < other.providerNodeId ? -1 : 1)),
    );
  });

  it("does not pretend to release a machine of a region it does not serve", async () => {
    const id = await rented(h100);
    await expect(provider.release(["eu-north-1/i-0123456789abcdef0", id])).rejects.toMatchObject({
      code: "invalid_request",
    });
    expect(emulator.instances()[0]?.state).not.toBe("pending");
  });

  it("S24: reports a reclaimed spot instance as an interruption, always of the same instant", async () => {
    const id = await rented(spot);
    const noticedAtMs = clock.nowMs();
    emulator.reclaim(id.split("/")[1] ?? "");
    const expected = [{ providerNodeId: id, noticedAtMs, deadlineMs: noticedAtMs }];
    expect(await provider.interruptions()).toEqual(expected);
    await clock.advance(5_000);
    expect(await provider.interruptions()).toEqual(expected);
  });

  it("does not take an instance that was released for an interruption", async () => {
    await provider.release([await rented(spot)]);
    expect(await provider.interruptions()).toEqual([]);
  });

  it("refuses to open without a region", async () => {
    await expect(createAwsProvider({ regions: [], clusterId: "c", clock })).rejects.toMatchObject({
      code: "invalid_request",
    });
  });
});

/** Launches instances of the cluster by calls of our own: one rent each would take long. */
async function launchMany(emulator: Ec2Emulator, count: number): Promise<void> {
  const client = new EC2Client({
    region: "us-east-1",
    endpoint: emulator.endpoint,
    credentials,
  });
  const Tags = [{ Key: "flotilla:cluster", Value: "cluster-1" }];
  for (let left = count; left > 0; left -= 1_000) {
    const batch = Math.min(left, 1_000);
    await client.send(
      new RunInstancesCommand({
        MinCount: batch,
        MaxCount: batch,
        ImageId: "ami-0123456789abcdef0",
        InstanceType: "g5.xlarge",
        TagSpecifications: [{ ResourceType: "instance", Tags }],
      }),
    );
  }
  client.destroy();
}
