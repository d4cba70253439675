import {
  CreateFleetCommand,
  CreateLaunchTemplateCommand,
  DeleteLaunchTemplateCommand,
  DescribeInstancesCommand,
  DescribeLaunchTemplatesCommand,
  EC2Client,
  type CreateFleetCommandInput,
} from "@aws-sdk/client-ec2";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createManualClock, type ManualClock } from "../../fake/index.ts";
import { startEc2Emulator, type Ec2Emulator } from "./index.ts";

let clock: ManualClock;
let emulator: Ec2Emulator;
let client: EC2Client;

beforeEach(async () => {
  clock = createManualClock(1_800_000_000_000);
  emulator = await startEc2Emulator({ clock, seed: "test" });
  client = new EC2Client({
    region: "us-east-1",
    endpoint: emulator.endpoint,
    credentials: { accessKeyId: "AKIAFAKE", secretAccessKey: "fake" },
    maxAttempts: 1,
  });
  await createTemplate("web");
});
afterEach(async () => {
  client.destroy();
  await emulator.close();
});

const createTemplate = (name: string, ClientToken?: string) =>
  client.send(
    new CreateLaunchTemplateCommand({
      LaunchTemplateName: name,
      ...(ClientToken === undefined ? {} : { ClientToken }),
      LaunchTemplateData: {
        ImageId: "ami-0123456789abcdef0",
        UserData: Buffer.from("hello").toString("base64"),
        TagSpecifications: [{ ResourceType: "instance", Tags: [{ Key: "from", Value: "lt" }] }],
      },
    }),
  );

type Override = NonNullable<
  NonNullable<CreateFleetCommandInput["LaunchTemplateConfigs"]>[number]["Overrides"]
>[number];

const fleet = (
  overrides: Override[],
  count: number,
  more: Partial<CreateFleetCommandInput> = {},
  market: "spot" | "on-demand" = "on-demand",
) =>
  client.send(
    new CreateFleetCommand({
      Type: "instant",
      LaunchTemplateConfigs: [
        {
          LaunchTemplateSpecification: { LaunchTemplateName: "web", Version: "1" },
          Overrides: overrides,
        },
      ],
      TargetCapacitySpecification: {
        TotalTargetCapacity: count,
        DefaultTargetCapacityType: market,
      },
      OnDemandOptions: { AllocationStrategy: "prioritized" },
      ...more,
    }),
  );
const G5: Override = { InstanceType: "g5.xlarge", Priority: 0 };
const G6: Override = { InstanceType: "g6.xlarge", Priority: 1 };

describe("CreateFleet over the real SDK", () => {
  it("launches what the template says, tagged by both", async () => {
    const output = await fleet([G5], 3, {
      TagSpecifications: [{ ResourceType: "instance", Tags: [{ Key: "own", Value: "1" }] }],
    });
    expect(output.FleetId).toMatch(/^fleet-[0-9a-f]{8}-/);
    expect(output.Errors).toEqual([]);
    expect(output.Instances).toMatchObject([{ InstanceType: "g5.xlarge", Lifecycle: "on-demand" }]);
    expect(output.Instances?.[0]?.InstanceIds).toHaveLength(3);
    const { Reservations } = await client.send(new DescribeInstancesCommand({}));
    const [instance] = Reservations?.[0]?.Instances ?? [];
    expect(instance?.ImageId).toBe("ami-0123456789abcdef0");
    expect(instance?.Tags).toEqual([
      { Key: "from", Value: "lt" },
      { Key: "own", Value: "1" },
      { Key: "aws:ec2:fleet-id", Value: output.FleetId },
    ]);
  });

  it("goes by priority, then by what there is, and reports what it could not have", async () => {
    emulator.setCapacity({ instanceType: "g5.xlarge", zone: "us-east-1a", instanceCountMax: 2 });
    const zoned = { ...G5, AvailabilityZone: "us-east-1a" };
    const output = await fleet([{ ...G6, Priority: 5 }, zoned], 5);
    expect(
      output.Instances?.map(({ InstanceType, InstanceIds }) => [InstanceType, InstanceIds?.length]),
    ).toEqual([
      ["g5.xlarge", 2],
      ["g6.xlarge", 3],
    ]);
    expect(output.Errors).toMatchObject([
      {
        ErrorCode: "InsufficientInstanceCapacity",
        Lifecycle: "on-demand",
        LaunchTemplateAndOverrides: {
          Overrides: { InstanceType: "g5.xlarge", AvailabilityZone: "us-east-1a" },
        },
      },
    ]);
  });

  it("answers with success, no instances and the errors when there is nothing", async () => {
    emulator.setCapacity({ instanceCountMax: 0 });
    const output = await fleet([G5, G6], 2);
    expect(output.Instances).toEqual([]);
    expect(output.Errors?.map(({ ErrorCode }) => ErrorCode)).toEqual([
      "InsufficientInstanceCapacity",
      "InsufficientInstanceCapacity",
    ]);
  });

  it("reports a quota, a price that is too low and a type that is not sold", async () => {
    emulator.setQuota({ quotaGroup: "aws/us-east-1/G/spot", vcpuCountMax: 8 });
    const quota = await fleet([G5], 5, {}, "spot");
    expect(quota.Instances?.[0]?.InstanceIds).toHaveLength(2);
    const over = await fleet([G5], 1, {}, "spot");
    expect(over.Errors?.[0]?.ErrorCode).toBe("MaxSpotInstanceCountExceeded");
    emulator.setQuota({ quotaGroup: "aws/us-east-1/G/spot" });
    emulator.setSpotPrice({ region: "us-east-1", instanceType: "g5.xlarge", usdPerHour: 3 });
    const dear = await fleet([{ ...G5, MaxPrice: "2.99" }], 1, {}, "spot");
    expect(dear.Errors?.[0]?.ErrorCode).toBe("SpotMaxPriceTooLow");
    const unsold = await fleet([{ InstanceType: "p6-b300.48xlarge" }], 1);
    expect(unsold.Errors?.[0]?.ErrorCode).toBe("Unsupported");
  });

  it("gives the same answer for a token again, whatever became of the machines", async () => {
    emulator.setCapacity({ instanceType: "g5.xlarge", instanceCountMax: 1 });
    const first = await fleet([G5], 2, { ClientToken: "t" });
    emulator.setCapacity({ instanceType: "g5.xlarge" });
    const again = await fleet([G5], 2, { ClientToken: "t" });
    expect({ ...again, $metadata: 0 }).toEqual({ ...first, $metadata: 0 });
    expect(emulator.instances()).toHaveLength(1);
    await expect(fleet([G5], 3, { ClientToken: "t" })).rejects.toMatchObject({
      name: "IdempotentParameterMismatch",
    });
  });

  it("launches nothing below its minimum", async () => {
    emulator.setCapacity({ instanceType: "g5.xlarge", instanceCountMax: 1 });
    const minimum = { AllocationStrategy: "prioritized", MinTargetCapacity: 2 } as const;
    const output = await fleet([G5], 2, { OnDemandOptions: minimum });
    expect(output.Instances).toEqual([]);
    await clock.advance(0);
    expect(emulator.instances().every(({ state }) => state === "terminated")).toBe(true);
  });

  it("does not know templates that are not there, and no fleets but instant ones", async () => {
    const LaunchTemplateConfigs = [
      {
        LaunchTemplateSpecification: { LaunchTemplateName: "none", Version: "1" },
        Overrides: [G5],
      },
    ];
    await expect(fleet([], 1, { LaunchTemplateConfigs })).rejects.toMatchObject({
      name: "InvalidLaunchTemplateName.NotFoundException",
    });
    await expect(fleet([G5], 1, { Type: "maintain" })).rejects.toMatchObject({
      name: "InvalidParameterValue",
    });
  });
});

describe("launch templates over the real SDK", () => {
  it("are made once by name, once by token, listed in pages and deleted", async () => {
    await expect(createTemplate("web")).rejects.toMatchObject({
      name: "InvalidLaunchTemplateName.AlreadyExistsException",
    });
    const made = await createTemplate("api", "token");
    const again = await createTemplate("api", "token");
    expect(again.LaunchTemplate).toEqual(made.LaunchTemplate);
    const list = () => client.send(new DescribeLaunchTemplatesCommand({}));
    expect((await list()).LaunchTemplates?.map((one) => one.LaunchTemplateName)).toEqual([
      "web",
      "api",
    ]);
    await client.send(new DeleteLaunchTemplateCommand({ LaunchTemplateName: "web" }));
    expect((await list()).LaunchTemplates).toHaveLength(1);
    const gone = new DescribeLaunchTemplatesCommand({ LaunchTemplateNames: ["web"] });
    await expect(client.send(gone)).rejects.toMatchObject({
      name: "InvalidLaunchTemplateName.NotFoundException",
    });
  });
});

describe("ten thousand phantoms", () => {
  it("are launched, listed in pages and complete", async () => {
    for (let launched = 0; launched < 10_000; launched += 1_000) await fleet([G5], 1_000);
    const ids = new Set<string>();
    let next: string | undefined;
    do {
      const page = new DescribeInstancesCommand({
        MaxResults: 1_000,
        ...(next === undefined ? {} : { NextToken: next }),
      });
      const output = await client.send(page);
      for (const { Instances = [] } of output.Reservations ?? []) {
        for (const { InstanceId = "" } of Instances) ids.add(InstanceId);
      }
      next = output.NextToken;
    } while (next !== undefined);
    expect(ids.size).toBe(10_000);
  });
});
