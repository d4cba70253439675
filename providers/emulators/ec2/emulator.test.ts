import {
  CreateTagsCommand,
  DescribeInstancesCommand,
  DescribeInstanceTypeOfferingsCommand,
  DescribeSpotPriceHistoryCommand,
  DescribeVpcsCommand,
  EC2Client,
  RunInstancesCommand,
  TerminateInstancesCommand,
  type DescribeInstancesCommandInput,
  type RunInstancesCommandInput,
} from "@aws-sdk/client-ec2";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createManualClock, type ManualClock } from "../../fake/index.ts";
import { startEc2Emulator, type Ec2Emulator } from "./index.ts";

const LAUNCH: RunInstancesCommandInput = {
  MinCount: 1,
  MaxCount: 1,
  ImageId: "ami-0123456789abcdef0",
  InstanceType: "p5.48xlarge",
};

let clock: ManualClock;
let emulator: Ec2Emulator;
let client: EC2Client;

function clientOf(region: string): EC2Client {
  return new EC2Client({
    region,
    endpoint: emulator.endpoint,
    credentials: { accessKeyId: "AKIAFAKE", secretAccessKey: "fake" },
    maxAttempts: 1,
  });
}

beforeEach(async () => {
  clock = createManualClock(1_800_000_000_000);
  emulator = await startEc2Emulator({ clock, seed: "test" });
  client = clientOf("us-east-1");
});
afterEach(async () => {
  client.destroy();
  await emulator.close();
});

const run = (input: Partial<RunInstancesCommandInput> = {}) =>
  client.send(new RunInstancesCommand({ ...LAUNCH, ...input }));
const launch = async (input: Partial<RunInstancesCommandInput> = {}) =>
  ((await run(input)).Instances ?? []).map(({ InstanceId }) => InstanceId ?? "");
const describeInstances = async (input: DescribeInstancesCommandInput = {}) => {
  const output = await client.send(new DescribeInstancesCommand(input));
  const instances = (output.Reservations ?? []).flatMap((one) => one.Instances ?? []);
  return { instances, ids: instances.map((one) => one.InstanceId), next: output.NextToken };
};
const terminate = (InstanceIds: string[]) =>
  client.send(new TerminateInstancesCommand({ InstanceIds }));

describe("RunInstances over the real SDK", () => {
  it("answers with all of a pending instance, and a request id", async () => {
    const output = await run({
      Placement: { AvailabilityZone: "us-east-1b" },
      ClientToken: "token",
      TagSpecifications: [
        { ResourceType: "instance", Tags: [{ Key: "a&b", Value: '<"é">' }] },
        { ResourceType: "volume", Tags: [{ Key: "v", Value: "1" }] },
      ],
    });
    expect(output.$metadata.requestId).toMatch(/^[0-9a-f]{8}-/);
    expect(output.ReservationId).toMatch(/^r-0[0-9a-f]{16}$/);
    expect(output.Instances).toMatchObject([
      {
        State: { Code: 0, Name: "pending" },
        InstanceType: "p5.48xlarge",
        ImageId: LAUNCH.ImageId,
        ClientToken: "token",
        Placement: { AvailabilityZone: "us-east-1b" },
        LaunchTime: new Date(clock.nowMs()),
        Tags: [{ Key: "a&b", Value: '<"é">' }],
      },
    ]);
    expect(output.Instances?.[0]?.InstanceLifecycle).toBeUndefined();
  });

  it("marks spot instances as such", async () => {
    const { Instances } = await run({ InstanceMarketOptions: { MarketType: "spot" } });
    expect(Instances?.[0]).toMatchObject({ InstanceLifecycle: "spot" });
    expect(Instances?.[0]?.SpotInstanceRequestId).toMatch(/^sir-/);
  });

  it("launches once for one token, and gives the instance in its present state again", async () => {
    const [first] = await launch({ ClientToken: "t" });
    await clock.advance(0);
    const again = await run({ ClientToken: "t" });
    expect(again.Instances).toMatchObject([{ InstanceId: first, State: { Name: "running" } }]);
    expect(emulator.instances()).toHaveLength(1);
  });

  it("answers IdempotentParameterMismatch to a used token with other parameters", async () => {
    await launch({ ClientToken: "t" });
    await expect(run({ ClientToken: "t", InstanceType: "g5.xlarge" })).rejects.toMatchObject({
      name: "IdempotentParameterMismatch",
    });
    expect(emulator.instances()).toHaveLength(1);
  });

  it("answers IdempotentInstanceTerminated to a token whose instances are terminated", async () => {
    await terminate(await launch({ ClientToken: "t" }));
    await clock.advance(0);
    await expect(run({ ClientToken: "t" })).rejects.toMatchObject({
      name: "IdempotentInstanceTerminated",
    });
  });

  it("launches again for the same token in another zone or region, as EC2 does", async () => {
    await launch({ ClientToken: "t", Placement: { AvailabilityZone: "us-east-1a" } });
    await launch({ ClientToken: "t", Placement: { AvailabilityZone: "us-east-1b" } });
    client.destroy();
    client = clientOf("us-west-2");
    await launch({ ClientToken: "t" });
    expect(emulator.instances().map(({ region }) => region)).toEqual([
      "us-east-1",
      "us-east-1",
      "us-west-2",
    ]);
  });

  it("leaves the token of a failed launch free", async () => {
    emulator.setCapacity({ instanceCountMax: 0 });
    await expect(run({ ClientToken: "t" })).rejects.toMatchObject({
      name: "InsufficientInstanceCapacity",
    });
    emulator.setCapacity({});
    expect(await launch({ ClientToken: "t" })).toHaveLength(1);
  });

  it("launches as many as there are between MinCount and MaxCount, or none", async () => {
    emulator.setCapacity({ zone: "us-east-1a", instanceCountMax: 3 });
    const a = { Placement: { AvailabilityZone: "us-east-1a" } };
    expect(await launch({ ...a, MinCount: 2, MaxCount: 5 })).toHaveLength(3);
    await expect(run(a)).rejects.toMatchObject({ $metadata: { httpStatusCode: 500 } });
    expect(await launch()).toHaveLength(1);
    expect(emulator.instances().at(-1)?.zone).toBe("us-east-1b");
  });

  it("holds capacity of a market and type, and gives it back at termination", async () => {
    emulator.setCapacity({ instanceType: "g5.xlarge", market: "spot", instanceCountMax: 1 });
    const spot = {
      InstanceType: "g5.xlarge",
      InstanceMarketOptions: { MarketType: "spot" },
    } as const;
    const [id = ""] = await launch(spot);
    await expect(run(spot)).rejects.toMatchObject({ name: "InsufficientInstanceCapacity" });
    expect(await launch({ InstanceType: "g5.xlarge" })).toHaveLength(1);
    await terminate([id]);
    expect(await launch(spot)).toHaveLength(1);
  });

  it("holds vCPU quotas of a family, region and market", async () => {
    emulator.setQuota({ quotaGroup: "aws/us-east-1/P/on-demand", vcpuCountMax: 200 });
    emulator.setQuota({ quotaGroup: "aws/us-east-1/P/spot", vcpuCountMax: 0 });
    expect(await launch()).toHaveLength(1);
    await expect(run()).rejects.toMatchObject({ name: "VcpuLimitExceeded" });
    await expect(run({ InstanceMarketOptions: { MarketType: "spot" } })).rejects.toMatchObject({
      name: "MaxSpotInstanceCountExceeded",
    });
    expect(await launch({ InstanceType: "g5.xlarge" })).toHaveLength(1);
  });

  it.each<[string, Partial<RunInstancesCommandInput>, string]>([
    ["an unknown type", { InstanceType: "zz.huge" as "p5.48xlarge" }, "InvalidParameterValue"],
    ["a type not sold in the region", { InstanceType: "p6-b300.48xlarge" }, "Unsupported"],
    ["no image", { ImageId: "" }, "MissingParameter"],
    ["a malformed image", { ImageId: "ami-xyz" }, "InvalidAMIID.Malformed"],
    ["a foreign zone", { Placement: { AvailabilityZone: "mars-1a" } }, "InvalidParameterValue"],
    ["more at least than at most", { MinCount: 2, MaxCount: 1 }, "InvalidParameterValue"],
    ["no instances", { MinCount: 0, MaxCount: 0 }, "InvalidParameterValue"],
    ["a long token", { ClientToken: "x".repeat(65) }, "InvalidParameterValue"],
    ["user data that is not base64", { UserData: "#!/bin/sh" }, "InvalidUserData.Malformed"],
    [
      "too much user data",
      { UserData: Buffer.alloc(16_385).toString("base64") },
      "InvalidParameterValue",
    ],
    [
      "a reserved tag",
      { TagSpecifications: [{ ResourceType: "instance", Tags: [{ Key: "aws:x", Value: "" }] }] },
      "InvalidParameterValue",
    ],
    [
      "a bid below the price",
      { InstanceMarketOptions: { MarketType: "spot", SpotOptions: { MaxPrice: "0.01" } } },
      "SpotMaxPriceTooLow",
    ],
    ["a dry run", { DryRun: true }, "DryRunOperation"],
  ])("refuses %s", async (_what, input, name) => {
    await expect(run(input)).rejects.toMatchObject({ name });
    expect(emulator.instances()).toEqual([]);
  });
});

describe("DescribeInstances over the real SDK", () => {
  it("has an empty, present list when there is nothing", async () => {
    const output = await client.send(new DescribeInstancesCommand({}));
    expect(output.Reservations).toEqual([]);
  });

  it("pages through everything once, although instances come in between", async () => {
    const ids = await launch({ MinCount: 12, MaxCount: 12 });
    const first = await describeInstances({ MaxResults: 5 });
    const [late] = await launch();
    const seen = [...first.ids];
    for (let next = first.next; next !== undefined;) {
      const page = await describeInstances({ MaxResults: 5, NextToken: next });
      seen.push(...page.ids);
      next = page.next;
    }
    expect(seen).toEqual([...ids, late]);
  });

  it("rejects a page token it did not give, a page size out of range, and ids with pages", async () => {
    const [id = ""] = await launch();
    await expect(describeInstances({ NextToken: "x" })).rejects.toMatchObject({
      name: "InvalidNextToken",
    });
    await expect(describeInstances({ MaxResults: 1 })).rejects.toMatchObject({
      name: "InvalidParameterValue",
    });
    await expect(describeInstances({ MaxResults: 5, InstanceIds: [id] })).rejects.toMatchObject({
      name: "InvalidParameterCombination",
    });
  });

  it("filters by tags, state, token and id, with wildcards, all filters together", async () => {
    const tagged = (Value: string) => ({
      TagSpecifications: [{ ResourceType: "instance" as const, Tags: [{ Key: "pool", Value }] }],
    });
    const [a = ""] = await launch({ ...tagged("a.1"), ClientToken: "t1" });
    const [b = ""] = await launch(tagged("a*2"));
    await launch();
    const matching = async (...filters: readonly [string, ...string[]][]) =>
      (
        await describeInstances({
          Filters: filters.map(([Name, ...Values]) => ({ Name, Values })),
        })
      ).ids;
    expect(await matching(["tag:pool", "a?1"])).toEqual([a]);
    expect(await matching(["tag:pool", "a*"])).toEqual([a, b]);
    expect(await matching(["tag:pool", "a\\*2"])).toEqual([b]);
    expect(await matching(["tag:pool", "A.1"])).toEqual([]);
    expect(await matching(["tag-key", "pool"], ["client-token", "t1"])).toEqual([a]);
    expect(await matching(["instance-id", b, "i-0123456789abcdef0"])).toEqual([b]);
    await terminate([a]);
    await clock.advance(0);
    expect(await matching(["tag:pool", "*"], ["instance-state-name", "terminated"])).toEqual([a]);
    await expect(matching(["constructor", "x"])).rejects.toMatchObject({
      name: "InvalidParameterValue",
    });
  });

  it("hides a new instance from lists, ids and tags until it has become visible", async () => {
    emulator.configure({ visibilityMs: 10_000 });
    const [id = ""] = await launch();
    expect((await describeInstances()).ids).toEqual([]);
    const notFound = { name: "InvalidInstanceID.NotFound" };
    await expect(describeInstances({ InstanceIds: [id] })).rejects.toMatchObject(notFound);
    await expect(terminate([id])).rejects.toMatchObject(notFound);
    await clock.advance(10_000);
    expect((await describeInstances({ InstanceIds: [id] })).ids).toEqual([id]);
  });

  it("forgets terminated instances after their time", async () => {
    await terminate(await launch());
    await clock.advance(0);
    expect((await describeInstances()).instances[0]).toMatchObject({
      State: { Code: 48, Name: "terminated" },
      StateReason: { Code: "Client.UserInitiatedShutdown" },
    });
    await clock.advance(3_600_001);
    expect((await describeInstances()).ids).toEqual([]);
  });
});

describe("the other actions over the real SDK", () => {
  it("terminates all or, when one id is unknown, none", async () => {
    const [id = ""] = await launch();
    const unknown = "i-0123456789abcdef0";
    await expect(terminate([id, unknown])).rejects.toMatchObject({
      name: "InvalidInstanceID.NotFound",
      message: `The instance ID '${unknown}' does not exist`,
    });
    await expect(terminate(["i-1"])).rejects.toMatchObject({ name: "InvalidInstanceID.Malformed" });
    expect(emulator.instances()[0]?.state).not.toBe("terminated");
    const output = await terminate([id, id]);
    expect(output.TerminatingInstances).toMatchObject([
      { InstanceId: id, CurrentState: { Code: 32, Name: "shutting-down" } },
    ]);
    await clock.advance(0);
    const again = await terminate([id]);
    expect(again.TerminatingInstances?.[0]?.PreviousState?.Name).toBe("terminated");
  });

  it("shows a new instance before its tags when it is told to", async () => {
    emulator.configure({ tagVisibilityMs: 10_000 });
    const TagSpecifications = [
      { ResourceType: "instance" as const, Tags: [{ Key: "k", Value: "1" }] },
    ];
    const [id = ""] = await launch({ TagSpecifications });
    const listed = async (Name: string, Values: string[]) => {
      const output = await client.send(
        new DescribeInstancesCommand({ Filters: [{ Name, Values }] }),
      );
      return output.Reservations?.flatMap(({ Instances }) => Instances ?? []) ?? [];
    };
    expect((await listed("instance-id", [id]))[0]?.Tags ?? []).toEqual([]);
    expect(await listed("tag:k", ["1"])).toEqual([]);
    await clock.advance(10_000);
    expect(await listed("tag:k", ["1"])).toMatchObject([{ InstanceId: id }]);
  });

  it("adds and overwrites tags", async () => {
    const [id = ""] = await launch();
    for (const Value of ["1", "2"]) {
      const Tags = [{ Key: "k", Value }];
      await client.send(new CreateTagsCommand({ Resources: [id], Tags }));
    }
    expect(emulator.instances()[0]?.tags).toEqual({ k: "2" });
  });

  it("lists offerings by zone and by region", async () => {
    const offerings = async (LocationType: "availability-zone" | "region") => {
      const Filters = [{ Name: "instance-type", Values: ["p5.48xlarge"] }];
      const output = await client.send(
        new DescribeInstanceTypeOfferingsCommand({ LocationType, Filters }),
      );
      return output.InstanceTypeOfferings?.map(({ Location }) => Location);
    };
    expect(await offerings("availability-zone")).toEqual([
      "us-east-1a",
      "us-east-1b",
      "us-east-1c",
    ]);
    expect(await offerings("region")).toEqual(["us-east-1"]);
  });

  it("gives the present spot price of each zone", async () => {
    const output = await client.send(
      new DescribeSpotPriceHistoryCommand({
        StartTime: new Date(clock.nowMs()),
        InstanceTypes: ["p5.48xlarge"],
        ProductDescriptions: ["Linux/UNIX"],
      }),
    );
    expect(output.SpotPriceHistory).toHaveLength(3);
    expect(output.SpotPriceHistory?.[0]).toEqual({
      InstanceType: "p5.48xlarge",
      ProductDescription: "Linux/UNIX",
      SpotPrice: "26.419200",
      Timestamp: new Date(clock.nowMs()),
      AvailabilityZone: "us-east-1a",
    });
  });

  it("says InvalidAction to what it does not know", async () => {
    await expect(client.send(new DescribeVpcsCommand({}))).rejects.toMatchObject({
      name: "InvalidAction",
    });
  });

  it("rejects a region that it does not emulate", async () => {
    client.destroy();
    client = clientOf("mars-north-1");
    await expect(describeInstances()).rejects.toMatchObject({ name: "SignatureDoesNotMatch" });
  });

  it("gives other ids after a restart with no seed", async () => {
    const restart = async () => {
      await emulator.close();
      client.destroy();
      emulator = await startEc2Emulator({ clock });
      client = clientOf("us-east-1");
    };
    await restart();
    const before = await launch();
    await restart();
    expect(await launch()).not.toEqual(before);
  });
});
