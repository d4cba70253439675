import {
  DescribeInstancesCommand,
  DescribeSpotPriceHistoryCommand,
  EC2Client,
  RunInstancesCommand,
} from "@aws-sdk/client-ec2";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createManualClock, type ManualClock } from "../../fake/index.ts";
import type { MachineLaunch } from "../shared/machine-launcher.ts";
import { startEc2Emulator, type Ec2Emulator } from "./index.ts";

const TYPE = "g5.xlarge";

let clock: ManualClock;
let emulator: Ec2Emulator;
let client: EC2Client;
let launches: MachineLaunch[];

beforeEach(async () => {
  clock = createManualClock(1_800_000_000_000);
  launches = [];
  emulator = await startEc2Emulator({
    clock,
    seed: "test",
    settings: { bootMs: 1_000 },
    launcher: {
      launch: (launch) => {
        launches.push(launch);
        return Promise.resolve({
          exited: new Promise(() => undefined),
          terminate: () => Promise.resolve(),
        });
      },
    },
  });
  client = new EC2Client({
    region: "us-east-1",
    endpoint: emulator.endpoint,
    credentials: { accessKeyId: "AKIAFAKE", secretAccessKey: "fake" },
    maxAttempts: 1,
  });
});
afterEach(async () => {
  client.destroy();
  await emulator.close();
});

const run = async (count = 1): Promise<readonly string[]> => {
  const output = await client.send(
    new RunInstancesCommand({
      MinCount: count,
      MaxCount: count,
      ImageId: "ami-0123456789abcdef0",
      InstanceType: TYPE,
      InstanceMarketOptions: { MarketType: "spot" },
      UserData: Buffer.from("hello").toString("base64"),
    }),
  );
  return (output.Instances ?? []).map(({ InstanceId = "" }) => InstanceId);
};
const stateOf = (instanceId: string) =>
  emulator.instances().find((one) => one.instanceId === instanceId)?.state;

describe("the metadata of an instance", () => {
  const tokenOf = async (id: string, ttl = "60") =>
    fetch(`${emulator.metadataUrl(id)}/latest/api/token`, {
      method: "PUT",
      headers: { "x-aws-ec2-metadata-token-ttl-seconds": ttl },
    });
  const read = async (id: string, path: string, token?: string) => {
    const own = token ?? (await (await tokenOf(id)).text());
    const response = await fetch(`${emulator.metadataUrl(id)}/latest/${path}`, {
      headers: { "x-aws-ec2-metadata-token": own },
    });
    return response.status === 200 ? response.text() : response.status;
  };

  it("tells who it is to those with a token of its own, and to nobody else", async () => {
    const [one = "", other = ""] = await run(2);
    expect(await read(one, "meta-data/instance-id")).toBe(one);
    expect(await read(one, "meta-data/placement/availability-zone")).toBe("us-east-1a");
    expect(await read(one, "user-data")).toBe("hello");
    const document = await read(one, "dynamic/instance-identity/document");
    expect(JSON.parse(String(document))).toMatchObject({ instanceId: one, region: "us-east-1" });
    expect(await read(one, "meta-data/instance-id", "")).toBe(401);
    const foreign = await (await tokenOf(other)).text();
    expect(await read(one, "meta-data/instance-id", foreign)).toBe(401);
    expect((await tokenOf(one, "0")).status).toBe(400);
    expect((await tokenOf("i-0")).status).toBe(404);
  });

  it("forgets a token when its time is over", async () => {
    const [id = ""] = await run();
    const token = await (await tokenOf(id)).text();
    await clock.advance(60_000);
    expect(await read(id, "meta-data/instance-id", token)).toBe(401);
  });

  it("gives two minutes' notice of an interruption, and the machine ends then", async () => {
    const [id = ""] = await run();
    await clock.advance(1_000);
    expect(await read(id, "meta-data/spot/instance-action")).toBe(404);
    expect(emulator.preempt({ instanceId: id })).toEqual([id]);
    const time = "2027-01-15T08:02:01Z";
    expect(JSON.parse(String(await read(id, "meta-data/spot/instance-action")))).toEqual({
      action: "terminate",
      time,
    });
    expect(await read(id, "meta-data/spot/termination-time")).toBe(time);
    await clock.advance(119_999);
    expect(stateOf(id)).toBe("running");
    await clock.advance(1);
    expect(emulator.instances()[0]).toMatchObject({
      state: "terminated",
      stateReason: { code: "Server.SpotInstanceTermination" },
    });
  });

  it("may say nothing before an interruption, and recommend a rebalance without one", async () => {
    const [one = "", other = ""] = await run(2);
    emulator.preempt({ instanceId: one, noticeMs: 30_000, withNotice: false });
    expect(await read(one, "meta-data/spot/instance-action")).toBe(404);
    emulator.recommendRebalance(other);
    const path = "meta-data/events/recommendations/rebalance";
    expect(JSON.parse(String(await read(other, path)))).toEqual({
      noticeTime: "2027-01-15T08:00:00Z",
    });
    await clock.advance(30_000);
    expect([stateOf(one), stateOf(other)]).toEqual(["terminated", "running"]);
  });
});

describe("launches that go wrong", () => {
  it("die while they boot, for the reason that was set, and never run", async () => {
    const reasonCode = "Server.InsufficientInstanceCapacity";
    emulator.setFate({ instanceType: TYPE, fate: "dies-at-boot", reasonCode, times: 2 });
    const states: string[] = [];
    emulator.onInstanceEvent(({ state }) => states.push(state));
    await run(3);
    await clock.advance(1_000);
    expect(states.filter((state) => state === "running")).toHaveLength(1);
    expect(emulator.instances().map(({ stateReason }) => stateReason?.code)).toEqual([
      reasonCode,
      reasonCode,
      undefined,
    ]);
    expect(launches).toHaveLength(1);
  });

  it("run, and start nothing", async () => {
    emulator.setFate({ fate: "never-starts" });
    const [id = ""] = await run();
    await clock.advance(60_000);
    expect(stateOf(id)).toBe("running");
    expect(launches).toEqual([]);
    await run();
    await clock.advance(1_000);
    expect(launches).toHaveLength(1);
  });
});

describe("the weather of the cloud", () => {
  it("changes as it was planned ahead", async () => {
    const capacity = (instanceCountMax: number) =>
      ({ kind: "capacity", rule: { instanceType: TYPE, instanceCountMax } }) as const;
    emulator.schedule({ afterMs: 10_000, change: capacity(0) });
    emulator.schedule({ afterMs: 20_000, change: capacity(10) });
    emulator.schedule({
      afterMs: 30_000,
      change: { kind: "preempt", preemption: { fraction: 0.5, noticeMs: 5_000 } },
    });
    await run(2);
    await clock.advance(10_000);
    await expect(run()).rejects.toMatchObject({ name: "InsufficientInstanceCapacity" });
    await clock.advance(10_000);
    await run(2);
    await clock.advance(15_000);
    const states = emulator.instances().map(({ state }) => state);
    expect(states).toEqual(["terminated", "terminated", "running", "running"]);
  });

  it("throttles an action beyond its rate, and lets it recover", async () => {
    emulator.setRateLimit({ action: "RunInstances", perSecond: 1, burst: 2 });
    await run();
    await run();
    await expect(run()).rejects.toMatchObject({ name: "RequestLimitExceeded" });
    expect(emulator.journal().at(-1)).toMatchObject({
      applied: false,
      status: 503,
      failure: "RequestLimitExceeded",
    });
    await client.send(new DescribeInstancesCommand({}));
    await clock.advance(1_000);
    await run();
    emulator.setRateLimit({ action: "RunInstances" });
    for (let count = 0; count < 5; count += 1) await run();
  });

  it("lists a young machine now and then, and an old one always", async () => {
    emulator.configure({ flickerMs: 60_000, flickerFraction: 0.5 });
    await run();
    const listed = async () => {
      const { Reservations = [] } = await client.send(new DescribeInstancesCommand({}));
      return Reservations.length;
    };
    const seen = [];
    for (let count = 0; count < 40; count += 1) seen.push(await listed());
    expect(new Set(seen)).toEqual(new Set([0, 1]));
    await clock.advance(60_000);
    for (let count = 0; count < 20; count += 1) expect(await listed()).toBe(1);
  });

  it("strikes by chance, the same for one seed, until it is cleared", async () => {
    emulator.injectFault({
      action: "RunInstances",
      when: "before",
      fraction: 0.5,
      effect: { kind: "error", code: "InternalError", status: 500 },
    });
    const outcomes: boolean[] = [];
    for (let count = 0; count < 40; count += 1) {
      outcomes.push(
        await run().then(
          () => true,
          () => false,
        ),
      );
    }
    const worked = outcomes.filter(Boolean).length;
    expect(worked).toBeGreaterThan(8);
    expect(worked).toBeLessThan(32);
    emulator.clearFaults();
    await run();
  });

  it("has spot prices that move by themselves and by hand, with their history", async () => {
    const history = async (StartTime: Date) => {
      const query = new DescribeSpotPriceHistoryCommand({
        InstanceTypes: [TYPE],
        AvailabilityZone: "us-east-1a",
        StartTime,
      });
      const { SpotPriceHistory = [] } = await client.send(query);
      return SpotPriceHistory.map(({ SpotPrice }) => Number(SpotPrice));
    };
    const startedAt = new Date(clock.nowMs());
    const [base = 0] = await history(startedAt);
    emulator.setPriceWalk({ everyMs: 60_000, spreadFraction: 0.2 });
    await clock.advance(600_000);
    const moves = await history(startedAt);
    expect(moves.length).toBeGreaterThanOrEqual(10);
    expect(new Set(moves).size).toBe(moves.length);
    for (const price of moves) expect(Math.abs(price - base) / base).toBeLessThanOrEqual(0.2);
    emulator.setSpotPrice({ region: "us-east-1", instanceType: TYPE, usdPerHour: 7 });
    expect(await history(new Date(clock.nowMs()))).toEqual([7]);
  });
});
