import { afterEach, beforeEach, expect, test } from "vitest";
import { createManualClock } from "../fake/index.ts";
import { startEc2Emulator, type Ec2Emulator } from "../emulators/ec2/index.ts";
import { isProbing, type Provider } from "../provider.ts";
import { createAwsProvider } from "./provider.ts";

let emulator: Ec2Emulator;
let provider: Provider;

beforeEach(async () => {
  const clock = createManualClock(1_000_000);
  emulator = await startEc2Emulator({ clock });
  provider = await createAwsProvider({
    regions: ["us-east-1", "us-west-2"],
    clusterId: "probe",
    clock,
    endpoint: emulator.endpoint,
    credentials: { accessKeyId: "AKIAEXAMPLE", secretAccessKey: "secret" },
    emulated: true,
  });
});
afterEach(async () => {
  await provider.close();
  await emulator.close();
});

const probe = async () => (isProbing(provider) ? provider.probe() : undefined);

test("an account that may rent passes the dry run in each region, and nothing is rented", async () => {
  expect(await probe()).toEqual([
    { step: "rent in us-east-1 (dry run)", isGood: true, detail: "allowed" },
    { step: "rent in us-west-2 (dry run)", isGood: true, detail: "allowed" },
  ]);
  expect(emulator.instances()).toEqual([]);
});

test("one that may not is told EC2's reason", async () => {
  emulator.injectFault({
    action: "RunInstances",
    place: "us-west-2",
    when: "before",
    effect: { kind: "error", code: "UnauthorizedOperation", status: 403 },
    times: 1,
  });
  const findings = await probe();
  expect(findings?.map(({ isGood }) => isGood)).toEqual([true, false]);
  expect(findings?.[1]?.detail).toContain("UnauthorizedOperation");
});
