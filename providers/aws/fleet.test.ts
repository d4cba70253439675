import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Offer } from "../../core/index.ts";
import { startEc2Emulator, type Ec2Emulator } from "../emulators/ec2/index.ts";
import { createManualClock, type ManualClock } from "../fake/index.ts";
import type { Provider, RentRequest } from "../provider.ts";
import { createAwsProvider } from "./provider.ts";

const REGION = "us-east-1";
/** The SDK tries a call this often. */
const TRIES = 3;

let clock: ManualClock;
let emulator: Ec2Emulator;
let provider: Provider;
let h100: Offer;
let h200: Offer;

const openProvider = () =>
  createAwsProvider({
    regions: [REGION],
    clusterId: "cluster-1",
    clock,
    endpoint: emulator.endpoint,
    credentials: { accessKeyId: "AKIAFAKE", secretAccessKey: "fake" },
    emulated: true,
    limitOf: () => ({ burst: 1_000, perSecond: 1_000 }),
  });

beforeEach(async () => {
  clock = createManualClock(1_800_000_000_000);
  emulator = await startEc2Emulator({ clock, settings: { bootMs: 30_000 }, seed: "test" });
  provider = await openProvider();
  const offers = await provider.listOffers();
  const find = (type: string) =>
    offers.find(({ offerId }) => offerId === `aws/${REGION}/*/${type}/on-demand`)!;
  [h100, h200] = [find("p5.48xlarge"), find("p5en.48xlarge")];
});
afterEach(async () => {
  await provider.close();
  await emulator.close();
});

const request = (over: Partial<RentRequest> = {}, count = 8): RentRequest => ({
  offers: [h100, h200],
  nodeIds: Array.from({ length: count }, (_, index) => `no_${index}`),
  clientToken: "token-1",
  userData: "#cloud-config\n",
  tags: { plan: "pl_1" },
  ...over,
});
const limit = (offer: Offer, instanceCountMax: number, zone?: string) =>
  emulator.setCapacity({
    instanceType: offer.instanceType,
    instanceCountMax,
    ...(zone === undefined ? {} : { zone }),
  });
const calls = (action: string) =>
  emulator.journal().filter((entry) => entry.action === action && entry.applied);
const fleetXml = (content: string) => ({
  kind: "body" as const,
  status: 200,
  contentType: "text/xml",
  body:
    '<CreateFleetResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">' +
    `<requestId>r</requestId><fleetId>fleet-1</fleetId>${content}</CreateFleetResponse>`,
});
const answerFleet = (content: string, times = 1) =>
  emulator.injectFault({ action: "CreateFleet", when: "before", effect: fleetXml(content), times });
const fleetError = (code: string, about = "") =>
  `<errorSet><item>${about}<lifecycle>on-demand</lifecycle><errorCode>${code}</errorCode>` +
  "<errorMessage>words</errorMessage></item></errorSet><fleetInstanceSet/>";

describe("a batch on EC2", () => {
  it("is one fleet: a template, the fleet, and the template's removal", async () => {
    const { rented } = await provider.rent(request());
    expect(rented).toHaveLength(8);
    const changes = emulator.journal().filter(({ action }) => !action.startsWith("Describe"));
    expect(changes.map(({ action }) => action)).toEqual([
      "CreateLaunchTemplate",
      "CreateFleet",
      "DeleteLaunchTemplate",
    ]);
    expect(changes[1]?.params).toMatchObject({
      Type: "instant",
      ClientToken: "token-1",
      "TargetCapacitySpecification.TotalTargetCapacity": "8",
      "TargetCapacitySpecification.DefaultTargetCapacityType": "on-demand",
      "LaunchTemplateConfigs.1.Overrides.1.InstanceType": "p5.48xlarge",
      "LaunchTemplateConfigs.1.Overrides.2.InstanceType": "p5en.48xlarge",
    });
    expect(changes[0]?.params).toMatchObject({
      "LaunchTemplateData.MetadataOptions.HttpTokens": "required",
      "LaunchTemplateData.InstanceInitiatedShutdownBehavior": "terminate",
    });
  });

  it("S22: tags every machine when it is made, and no later call writes tags", async () => {
    await provider.rent(request());
    for (const { tags } of emulator.instances()) {
      expect(tags).toMatchObject({
        "flotilla:cluster": "cluster-1",
        "flotilla:batch": "token-1",
        plan: "pl_1",
      });
    }
    expect((await provider.listNodes()).nodes[0]).toMatchObject({ clientToken: "token-1" });
    expect(emulator.journal().map(({ action }) => action)).not.toContain("CreateTags");
  });

  it("needs at most a tenth of the calls that single launches would", async () => {
    const before = emulator.journal().length;
    for (let batch = 0; batch < 10; batch += 1) {
      const nodeIds = Array.from({ length: 100 }, (_, index) => `no_${batch}x${index}`);
      const { rented } = await provider.rent(request({ nodeIds, clientToken: `t-${batch}` }));
      expect(rented).toHaveLength(100);
    }
    expect(emulator.journal().length - before).toBeLessThanOrEqual(100);
  });

  it("spreads over the zones of a region that has too few in each", async () => {
    for (const letter of ["a", "b", "c"]) limit(h100, 2, `${REGION}${letter}`);
    const { rented, refusals } = await provider.rent(request({ offers: [h100] }));
    expect(rented).toHaveLength(6);
    expect(refusals).toMatchObject([{ offerId: h100.offerId, scope: { kind: "offer" } }]);
  });

  it("S5: keeps what a fleet gave and says which offers failed", async () => {
    limit(h100, 3);
    limit(h200, 0);
    const { rented, refusals } = await provider.rent(request());
    expect(rented.map(({ nodeId }) => nodeId)).toEqual(["no_0", "no_1", "no_2"]);
    expect(refusals).toMatchObject([
      { offerId: h100.offerId, scope: { kind: "offer" } },
      { offerId: h200.offerId, scope: { kind: "offer" } },
    ]);
    expect(refusals[0]?.reason).toMatch(/^InsufficientInstanceCapacity: /);
  });

  it("S5: takes no instances and no errors for a shortage of all offers", async () => {
    answerFleet("<errorSet/><fleetInstanceSet/>");
    const { rented, refusals } = await provider.rent(request());
    expect(rented).toEqual([]);
    expect(refusals.map(({ offerId, scope }) => [offerId, scope.kind])).toEqual([
      [h100.offerId, "offer"],
      [h200.offerId, "offer"],
    ]);
  });

  it("takes an error that names no type for one of all offers", async () => {
    answerFleet(fleetError("UnfulfillableCapacity"));
    const { refusals } = await provider.rent(request());
    expect(refusals.map(({ offerId }) => offerId)).toEqual([h100.offerId, h200.offerId]);
  });

  it("S13: refuses an offer whose spot price is above the maximum, and that one alone", async () => {
    const about =
      "<launchTemplateAndOverrides><overrides><instanceType>p5en.48xlarge</instanceType>" +
      "</overrides></launchTemplateAndOverrides>";
    answerFleet(fleetError("SpotMaxPriceTooLow", about));
    const { refusals } = await provider.rent(request());
    expect(refusals).toMatchObject([{ offerId: h200.offerId, scope: { kind: "offer" } }]);
  });

  it("S5: names the offers that refused also when others gave all that was wanted", async () => {
    limit(h100, 3);
    const { rented, refusals } = await provider.rent(request());
    expect(rented).toHaveLength(8);
    expect(refusals.map(({ offerId }) => offerId)).toEqual([h100.offerId]);
  });

  it("S14: takes lost rights inside a fleet's answer for a refusal of the account", async () => {
    answerFleet(fleetError("UnauthorizedOperation"));
    const { refusals } = await provider.rent(request());
    expect(refusals[0]).toMatchObject({ scope: { kind: "cloud" } });
  });

  it("S15: a throttle inside a fleet's answer blocks no offer: the rest is asked for again", async () => {
    answerFleet(fleetError("RequestLimitExceeded"));
    const { rented, refusals } = await provider.rent(request());
    expect(rented).toHaveLength(8);
    expect(refusals).toEqual([]);
  });

  it("S15: says rate_limited when every answer is a throttle, and refuses nothing", async () => {
    answerFleet(fleetError("RequestLimitExceeded"), 3);
    await expect(provider.rent(request())).rejects.toMatchObject({
      code: "rate_limited",
      retryable: true,
    });
  });

  it("S15: waits out a throttle and rents then, without refusing anything", async () => {
    const effect = { kind: "error", code: "RequestLimitExceeded", status: 503 } as const;
    emulator.injectFault({ action: "CreateFleet", when: "before", effect, times: 3 });
    const outcome = provider.rent(request());
    await expect
      .poll(async () => {
        await clock.advance(1_000);
        return calls("CreateFleet").length;
      })
      .toBe(1);
    expect(await outcome).toMatchObject({ refusals: [] });
    expect(emulator.instances()).toHaveLength(8);
  });

  it("S15: says rate_limited in a storm, and refuses nothing", async () => {
    emulator.setRateLimit({ action: "CreateFleet", perSecond: 0.001, burst: 1 });
    await provider.rent(request());
    const outcome = provider.rent(request({ clientToken: "token-2" }));
    const failed = expect(outcome).rejects.toMatchObject({ code: "rate_limited", retryable: true });
    let isOver = false;
    void outcome.catch(() => undefined).then(() => (isOver = true));
    await expect
      .poll(async () => {
        await clock.advance(2_000);
        return isOver;
      })
      .toBe(true);
    await failed;
    expect(emulator.instances()).toHaveLength(8);
  });

  it("S12: names the quota group and the quota, and plans no more than the limit", async () => {
    const [quotaGroup = ""] = h100.quotaGroups;
    emulator.setQuota({ quotaGroup, vcpuCountMax: 400 });
    const { rented, refusals } = await provider.rent(request({ offers: [h100] }));
    expect(rented).toHaveLength(2);
    expect(refusals[0]).toMatchObject({ scope: { kind: "offer" } });
    const more = await provider.rent(request({ offers: [h100, h200], clientToken: "token-2" }));
    expect(more.rented).toEqual([]);
    expect(more.refusals).toMatchObject([
      { offerId: h100.offerId, scope: { kind: "quota", quotaGroup } },
      { offerId: h200.offerId, scope: { kind: "quota", quotaGroup } },
    ]);
    expect(more.refusals[0]?.reason).toContain("ask AWS to raise quota L-417A185B");
    const capped = () =>
      provider.listOffers().then((offers) => offers.find((one) => one.offerId === h100.offerId));
    expect((await capped())?.nodeCountMax).toBe(2);
    await clock.advance(3_600_000);
    expect((await capped())?.nodeCountMax).toBe(h100.nodeCountMax);
  });
});

describe("a batch on EC2 that is repeated", () => {
  it("S2, S3: gets its machines however often the reply is lost", async () => {
    const effect = { kind: "reset" } as const;
    emulator.injectFault({ action: "CreateFleet", when: "after", effect, times: TRIES });
    await expect(provider.rent(request())).rejects.toMatchObject({ retryable: true });
    const { rented } = await provider.rent(request());
    expect(rented).toHaveLength(8);
    expect((await provider.rent(request())).rented).toEqual(rented);
    expect(emulator.instances()).toHaveLength(8);
  });

  it("S4: adopts its machines when its user data has changed since", async () => {
    const { rented } = await provider.rent(request());
    const again = await provider.rent(request({ userData: "#cloud-config\n# moved\n" }));
    expect(again.rented.map(({ nodeId, providerNodeId }) => [nodeId, providerNodeId])).toEqual(
      rented.map(({ nodeId, providerNodeId }) => [nodeId, providerNodeId]),
    );
    expect(emulator.instances()).toHaveLength(8);
  });

  it("S4: leaves the outcome open while not all that it led to may be visible", async () => {
    limit(h100, 3);
    limit(h200, 0);
    await provider.rent(request());
    const changed = request({ userData: "other" });
    await expect(provider.rent(changed)).rejects.toMatchObject({
      code: "unavailable",
      retryable: true,
    });
    await clock.advance(60_000);
    expect((await provider.rent(changed)).rented).toHaveLength(3);
  });

  it("makes its template again when that is gone, or not known to the fleet yet", async () => {
    const effect = {
      kind: "error",
      code: "InvalidLaunchTemplateName.NotFoundException",
      status: 400,
    } as const;
    emulator.injectFault({ action: "CreateFleet", when: "before", effect, times: 2 });
    expect((await provider.rent(request())).rented).toHaveLength(8);
    expect((await provider.rent(request())).rented).toHaveLength(8);
  });

  it("takes a template that is there already, and sweeps those that a crash left behind", async () => {
    const effect = { kind: "reset" } as const;
    emulator.injectFault({ action: "CreateFleet", when: "before", effect, times: TRIES });
    await expect(provider.rent(request())).rejects.toMatchObject({ retryable: true });
    await provider.close();
    provider = await openProvider();
    await clock.advance(3_600_000);
    await provider.rent(request({ clientToken: "token-2", userData: "other" }));
    expect(calls("DeleteLaunchTemplate")).toHaveLength(2);
    expect(calls("CreateLaunchTemplate")).toHaveLength(2);
  });
});

describe("a batch that EC2 does not take as a fleet", () => {
  it("is launched by RunInstances where the account may not make fleets", async () => {
    const effect = { kind: "error", code: "UnauthorizedOperation", status: 403 } as const;
    emulator.injectFault({ action: "CreateFleet", when: "before", effect });
    limit(h100, 3);
    const { rented } = await provider.rent(request());
    const byOffer = Map.groupBy(rented, ({ offerId }) => offerId);
    expect([byOffer.get(h100.offerId)?.length, byOffer.get(h200.offerId)?.length]).toEqual([3, 5]);
    await provider.rent(request({ clientToken: "token-2", offers: [h200, h100] }));
    expect(emulator.journal().filter(({ action }) => action === "CreateFleet")).toHaveLength(1);
  });

  describe("that is asked for again by another process", () => {
    const noFleets = () => {
      const effect = { kind: "error", code: "UnauthorizedOperation", status: 403 } as const;
      emulator.injectFault({ action: "CreateFleet", when: "before", effect, fraction: 1 });
    };
    /** The first answer is lost with the process that waited for it. */
    const lostFirst = async (): Promise<void> => {
      await provider.rent(request());
      await provider.close();
      provider = await openProvider();
    };
    const again = () => request({ firstAskedAtMs: clock.nowMs() - 120_000 });
    const machines = () => emulator.instances().map(({ instanceId }) => `${REGION}/${instanceId}`);

    it("S2: has the machines it has, though a better offer has capacity again", async () => {
      noFleets();
      limit(h100, 0);
      await lostFirst();
      limit(h100, 100);
      const { rented, refusals } = await provider.rent(again());
      expect(rented.map(({ providerNodeId }) => providerNodeId).sort()).toEqual(machines().sort());
      expect(rented.map(({ offerId }) => offerId)).toEqual(Array(8).fill(h200.offerId));
      expect(refusals).toEqual([]);
      expect(machines()).toHaveLength(8);
    });

    it("S2: has no more than it asks for, when the better offer gave some and has more now", async () => {
      noFleets();
      limit(h100, 3);
      await lostFirst();
      limit(h100, 100);
      const { rented } = await provider.rent(again());
      expect(new Set(rented.map(({ providerNodeId }) => providerNodeId)).size).toBe(8);
      expect(machines()).toHaveLength(8);
    });

    it("S2: gets what is missing of offers that gave nothing, and none of one that gave out", async () => {
      noFleets();
      limit(h100, 3);
      limit(h200, 0);
      await lostFirst();
      expect(machines()).toHaveLength(3);
      limit(h100, 100);
      limit(h200, 100);
      const { rented, refusals } = await provider.rent(again());
      const byOffer = Map.groupBy(rented, ({ offerId }) => offerId);
      expect([byOffer.get(h100.offerId)?.length, byOffer.get(h200.offerId)?.length]).toEqual([
        3, 5,
      ]);
      expect(refusals).toMatchObject([{ offerId: h100.offerId }]);
      expect(machines()).toHaveLength(8);
    });

    it("S6: waits until all of the first time must be visible, and asks for nothing before", async () => {
      noFleets();
      limit(h100, 0);
      emulator.configure({ visibilityMs: 20_000 });
      const firstAskedAtMs = clock.nowMs();
      await lostFirst();
      limit(h100, 100);
      const repeat = request({ firstAskedAtMs });
      await expect(provider.rent(repeat)).rejects.toMatchObject({
        code: "unavailable",
        retryable: true,
      });
      expect(machines()).toHaveLength(8);
      await clock.advance(20_000);
      expect((await provider.rent(repeat)).rented).toHaveLength(8);
      expect(machines()).toHaveLength(8);
    });

    it("S2: makes no fleet for machines that were launched one offer after the other", async () => {
      noFleets();
      limit(h100, 0);
      await lostFirst();
      limit(h100, 100);
      emulator.clearFaults();
      expect((await provider.rent(again())).rented).toHaveLength(8);
      expect(machines()).toHaveLength(8);
    });

    it("S2: counts the machines of a fleet whose maker may make none any more", async () => {
      limit(h100, 3);
      await lostFirst();
      limit(h100, 100);
      noFleets();
      expect((await provider.rent(again())).rented).toHaveLength(8);
      expect(machines()).toHaveLength(8);
    });
  });

  it("says so when its user data is larger than EC2 takes, before it asks", async () => {
    const userData = "é".repeat(8_193);
    for (const count of [1, 8]) {
      await expect(provider.rent(request({ userData }, count))).rejects.toMatchObject({
        code: "payload_too_large",
        message: expect.stringContaining(
          "its user data has 16386 bytes, and EC2 takes 16384",
        ) as string,
      });
    }
    expect(calls("CreateLaunchTemplate")).toEqual([]);
    const fits = await provider.rent(request({ userData: "é".repeat(8_192) }));
    expect(fits.rented).toHaveLength(8);
  });
});
