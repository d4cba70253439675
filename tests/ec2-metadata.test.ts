/** What an EC2 machine is told of itself: the real adapter, the agent's reader, the emulator. */
import { afterEach, beforeEach, expect, it } from "vitest";
import { createAwsProvider } from "../providers/aws/provider.ts";
import { startEc2Emulator, type Ec2Emulator } from "../providers/emulators/ec2/index.ts";
import { createManualClock, type ManualClock } from "../providers/fake/index.ts";
import type { Provider } from "../providers/provider.ts";
import { openCloudMetadata, type CloudMetadata } from "../sandbox/agent/cloud-metadata.ts";
import { InterruptionWatch } from "../sandbox/agent/interruption-watch.ts";

let clock: ManualClock;
let emulator: Ec2Emulator;
let provider: Provider;

beforeEach(async () => {
  clock = createManualClock(1_800_000_000_000);
  emulator = await startEc2Emulator({ clock, seed: "test" });
  provider = await createAwsProvider({
    regions: ["us-east-1"],
    clusterId: "cluster-1",
    clock,
    endpoint: emulator.endpoint,
    credentials: { accessKeyId: "AKIAFAKE", secretAccessKey: "fake" },
    emulated: true,
  });
});
afterEach(async () => {
  await provider.close();
  await emulator.close();
});

/** A rented Spot machine's id and metadata service. */
async function spotMachine(): Promise<{ instanceId: string; metadata: CloudMetadata }> {
  const offers = (await provider.listOffers()).filter(({ purchase }) => purchase === "spot");
  const request = { offers: offers.slice(0, 1), nodeIds: ["no_a"], clientToken: "batch-1" };
  const { rented } = await provider.rent({ ...request, userData: "", tags: {} });
  const [, instanceId = ""] = rented[0]?.providerNodeId.split("/") ?? [];
  const url = emulator.metadataUrl(instanceId);
  return { instanceId, metadata: openCloudMetadata("aws", { clock, url }) };
}

it("S24: a machine hears of a rebalance recommendation before, and apart from, its interruption", async () => {
  const { instanceId, metadata } = await spotMachine();
  expect(await metadata.riskSince()).toBeUndefined();
  emulator.recommendRebalance(instanceId);
  const advisedAtMs = clock.nowMs();
  await clock.advance(60_000);
  expect(await metadata.riskSince()).toBe(advisedAtMs);
  expect(await metadata.interruption()).toBeUndefined();
  emulator.preempt({ instanceId });
  expect(await metadata.interruption()).toBe(clock.nowMs() + 120_000);
});

it("the agent's watch tells of the recommendation once, and of the notice as long as it lasts", async () => {
  const { instanceId, metadata } = await spotMachine();
  const told: string[] = [];
  // Each look is one turn of this clock, so that nothing waits.
  const turns = { resume: (): void => undefined };
  const watch = new InterruptionWatch({
    metadata,
    clock: {
      nowMs: () => clock.nowMs(),
      sleep: () =>
        new Promise((resolve) => {
          told.push("|");
          turns.resume = resolve;
        }),
    },
    onNotice: () => told.push("notice"),
    onRisk: () => told.push("risk"),
    onError: (error) => told.push(String(error)),
  });
  const looks = async (count: number): Promise<void> => {
    const before = told.filter((one) => one === "|").length;
    turns.resume();
    await expect.poll(() => told.filter((one) => one === "|").length).toBe(before + count);
  };
  const running = watch.run();
  await expect.poll(() => told).toEqual(["|"]);
  emulator.recommendRebalance(instanceId);
  await looks(1);
  await looks(1);
  emulator.preempt({ instanceId });
  await looks(1);
  await looks(1);
  expect(told).toEqual(["|", "risk", "|", "|", "notice", "|", "notice", "|"]);
  watch.close();
  turns.resume();
  await running;
});
