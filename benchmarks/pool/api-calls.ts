/** How many calls of a cloud's API a thousand launches take, by the real SDK. */
import { assert, createRng, type Offer } from "../../core/index.ts";
import { createAwsProvider } from "../../providers/aws/provider.ts";
import { openAzureBench } from "../../providers/azure/test-bench.ts";
import { startEc2Emulator } from "../../providers/emulators/ec2/index.ts";
import { createManualClock } from "../../providers/fake/index.ts";
import { openGcpBench } from "../../providers/gcp/test-bench.ts";
import { RENT_COUNT_MAX, type Provider } from "../../providers/index.ts";

/** Machines asked for. */
export const LAUNCH_COUNT = 1_000;

const UNLIMITED = { burst: 100_000, perSecond: 100_000 };

/** By cloud: rents the machines and counts what it took, prices and listings left out. */
export const CLOUD_BENCHES: readonly {
  readonly cloud: string;
  readonly countCalls: () => Promise<number>;
}[] = [
  { cloud: "aws", countCalls: countAwsCalls },
  { cloud: "gcp", countCalls: countGcpCalls },
  { cloud: "azure", countCalls: countAzureCalls },
];

async function countAwsCalls(): Promise<number> {
  const clock = createManualClock(1_800_000_000_000);
  const emulator = await startEc2Emulator({ clock, seed: "bench" });
  const provider = await createAwsProvider({
    regions: ["us-east-1"],
    clusterId: "bench",
    clock,
    endpoint: emulator.endpoint,
    credentials: { accessKeyId: "AKIABENCH", secretAccessKey: "bench" },
    emulated: true,
    rng: createRng(1),
    limitOf: () => UNLIMITED,
  });
  try {
    return await callsOf(provider, () => emulator.journal().length);
  } finally {
    await provider.close();
    await emulator.close();
  }
}

async function countGcpCalls(): Promise<number> {
  const { provider, emulator, passingTime, close } = await openGcpBench({
    regions: ["us-central1"],
    limitOf: () => UNLIMITED,
  });
  try {
    return await callsOf(provider, () => emulator.journal().length, passingTime);
  } finally {
    await close();
  }
}

async function countAzureCalls(): Promise<number> {
  const { provider, emulator, close } = await openAzureBench({
    regions: ["eastus"],
    limitOf: () => UNLIMITED,
  });
  try {
    return await callsOf(provider, () => emulator.journal().length);
  } finally {
    await close();
  }
}

type Pass = <T>(work: Promise<T>) => Promise<T>;

/** Rents all machines by whatever offers have room, and gives the calls that were made. */
async function callsOf(
  provider: Provider,
  callCount: () => number,
  passing: Pass = (work) => work,
): Promise<number> {
  const offers = (await passing(provider.listOffers())).filter(isSteady);
  const before = callCount();
  let [rentedCount, batch] = [0, 0];
  while (rentedCount < LAUNCH_COUNT) {
    const [first] = offers;
    assert(first !== undefined, `no offer of ${provider.cloud} has room for ${LAUNCH_COUNT}`);
    const count = Math.min(RENT_COUNT_MAX, LAUNCH_COUNT - rentedCount);
    const nodeIds = Array.from({ length: count }, (_, index) => `no_${batch}_${index}`);
    const request = { offers: [first], nodeIds, clientToken: `bench-${batch}` };
    const made = provider.rent({ ...request, userData: "#cloud-config\n", tags: {} });
    const { rented } = await passing(made);
    rentedCount += rented.length;
    batch += 1;
    if (rented.length < count) offers.shift();
  }
  return callCount() - before;
}

function isSteady({ purchase }: Offer): boolean {
  return purchase === "on-demand";
}
