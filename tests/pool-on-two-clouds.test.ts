/**
 * The pool over two accounts, AWS and Azure by their real SDKs against emulators, on virtual
 * time: what happens to one is not to touch the other.
 */
import assert from "node:assert";
import { afterEach, beforeEach, expect, test } from "vitest";
import { countingIds, createRng, DEFAULT_POOL_POLICY, type Offer } from "../core/index.ts";
import { PoolController, type DesiredLine } from "../pool/index.ts";
import { memoryLedger } from "../pool/test-pool.ts";
import { createAwsProvider } from "../providers/aws/provider.ts";
import { openAzureBench } from "../providers/azure/test-bench.ts";
import { startEc2Emulator, type Ec2Emulator } from "../providers/emulators/ec2/index.ts";
import type { Provider } from "../providers/index.ts";

const TICK_MS = 5_000;
const TICKS_PER_MINUTE = 60_000 / TICK_MS;
const CLUSTER = "cluster-1";

let azure: Awaited<ReturnType<typeof openAzureBench>>;
let ec2: Ec2Emulator;
let aws: Provider;
let ledger: ReturnType<typeof memoryLedger>;
let pool: PoolController;
let onAws: Offer;
let onAzure: Offer;

beforeEach(async () => {
  azure = await openAzureBench();
  const { clock } = azure;
  ec2 = await startEc2Emulator({ clock, seed: "two clouds", settings: { bootMs: 20_000 } });
  aws = await createAwsProvider({
    regions: ["us-east-1"],
    clusterId: CLUSTER,
    clock,
    endpoint: ec2.endpoint,
    credentials: { accessKeyId: "AKIAFAKE", secretAccessKey: "fake" },
    emulated: true,
    rng: createRng(1),
    limitOf: () => ({ burst: 10_000, perSecond: 10_000 }),
  });
  ledger = memoryLedger();
  pool = new PoolController({
    providers: new Map([
      ["aws", aws],
      ["azure", azure.provider],
    ]),
    ledger,
    clock,
    ids: countingIds(),
    policy: DEFAULT_POOL_POLICY,
    clusterId: CLUSTER,
    userDataFor: () => "#cloud-config\n",
    onEvent: () => undefined,
  });
  onAws = await offerOf(aws, "aws/us-east-1/*/g4dn.xlarge/on-demand");
  onAzure = await offerOf(azure.provider, "azure/eastus/1/Standard_NC4as_T4_v3/on-demand");
});
afterEach(async () => {
  await aws.close();
  await Promise.all([ec2.close(), azure.close()]);
});

async function offerOf(provider: Provider, offerId: string): Promise<Offer> {
  const found = (await provider.listOffers()).find((offer) => offer.offerId === offerId);
  assert(found !== undefined, `there is an offer ${offerId}`);
  return found;
}

/** Ticks with the agents of all running machines talking. */
async function ticks(count: number, wanted: { aws: number; azure: number }): Promise<void> {
  const lines: readonly DesiredLine[] = [
    { offerId: onAws.offerId, count: wanted.aws, reason: "test" },
    { offerId: onAzure.offerId, count: wanted.azure, reason: "test" },
  ];
  for (let done = 0; done < count; done += 1) {
    const heard = { lastHeardAtMs: azure.clock.nowMs() };
    const running = new Set(runningIds());
    const agents = new Map(
      (await ledger.listOpen())
        .filter(({ node }) => running.has(node.providerNodeId ?? ""))
        .map(({ node }) => [node.nodeId, heard] as const),
    );
    const offers = [onAws, onAzure];
    await pool.tick(lines, { offers, containers: [], agents, emptySinceMs: new Map() });
    await azure.clock.advance(TICK_MS);
  }
}

/** Ids of all machines that run, as their providers give them. */
function runningIds(): readonly string[] {
  const instances = ec2.instances().filter(({ state }) => state === "running");
  const machines = azure.emulator.machines().filter(({ powerState }) => powerState === "running");
  return [
    ...instances.map(({ region, instanceId }) => `${region}/${instanceId}`),
    ...machines.map(({ region, name }) => `${region}/${name}`),
  ];
}

/** Nodes that serve, by cloud. */
async function healthyIds(cloud: string): Promise<readonly string[]> {
  return (await ledger.listOpen())
    .filter(({ node }) => node.cloud === cloud && node.state === "healthy")
    .map(({ node }) => node.nodeId)
    .sort();
}

const launches = () =>
  ec2.journal().filter(({ action }) => ["CreateFleet", "RunInstances"].includes(action));

test("S14: lost rights pause one account, and neither its nodes nor another account are touched", async () => {
  await ticks(8, { aws: 2, azure: 1 });
  const before = await healthyIds("aws");
  expect(before).toHaveLength(2);
  const launchCount = launches().length;

  const effect = { kind: "error", code: "AuthFailure", status: 401 } as const;
  ec2.injectFault({ when: "before", effect, fraction: 1 });
  await ticks(8, { aws: 4, azure: 2 });
  expect(await healthyIds("azure")).toHaveLength(2);
  await ticks(20 * TICKS_PER_MINUTE, { aws: 4, azure: 2 });
  expect(await healthyIds("aws")).toEqual(before);
  expect(await healthyIds("azure")).toHaveLength(2);
  expect(launches().length - launchCount).toBeLessThanOrEqual(20 / 5);

  ec2.clearFaults();
  await ticks(6 * TICKS_PER_MINUTE, { aws: 4, azure: 2 });
  expect(await healthyIds("aws")).toHaveLength(4);
  expect(await healthyIds("aws")).toEqual(expect.arrayContaining([...before]));
});

test("S14: rights to launch that are lost alone are tried again every five minutes", async () => {
  await ticks(8, { aws: 1, azure: 1 });
  const effect = { kind: "error", code: "UnauthorizedOperation", status: 403 } as const;
  for (const action of ["CreateFleet", "RunInstances", "CreateLaunchTemplate"]) {
    ec2.injectFault({ action, when: "before", effect, fraction: 1 });
  }
  await ticks(60 * TICKS_PER_MINUTE, { aws: 3, azure: 1 });
  expect(await healthyIds("aws")).toHaveLength(1);
  const attempts = ec2.journal().filter(({ failure }) => failure === "UnauthorizedOperation");
  const bursts = new Set(attempts.map(({ atMs }) => Math.floor(atMs / 60_000)));
  expect(bursts.size).toBeGreaterThanOrEqual(60 / 5 - 1);
  expect(bursts.size).toBeLessThanOrEqual(60 / 5 + 1);
  ec2.clearFaults();
  await ticks(6 * TICKS_PER_MINUTE, { aws: 3, azure: 1 });
  expect(await healthyIds("aws")).toHaveLength(3);
});

test("S28: a region that is down is left out within one refusal's time, and its nodes stay", async () => {
  await ticks(8, { aws: 2, azure: 1 });
  const before = await healthyIds("aws");
  ec2.injectFault({ when: "before", effect: { kind: "reset" }, fraction: 1, place: "us-east-1" });
  expect(pool.openOffers([onAws, onAzure])).toEqual([onAws, onAzure]);
  const ticksOfTtl = DEFAULT_POOL_POLICY.refusalTtlMs / TICK_MS;
  await ticks(ticksOfTtl + 2, { aws: 2, azure: 1 });
  // The next plan knows the other cloud's offers only.
  expect(pool.openOffers([onAws, onAzure])).toEqual([onAzure]);
  await ticks(8, { aws: 0, azure: 3 });
  expect(await healthyIds("azure")).toHaveLength(3);
  await ticks(3 * TICKS_PER_MINUTE, { aws: 0, azure: 3 });
  expect(await healthyIds("aws")).toEqual(before);
  expect(runningIds()).toHaveLength(5);

  ec2.clearFaults();
  await ticks(2, { aws: 2, azure: 3 });
  expect(await healthyIds("aws")).toEqual(before);
  expect(pool.openOffers([onAws, onAzure])).toEqual([onAws, onAzure]);
});

test("S20: a machine that somebody deletes by hand is noticed in two minutes and replaced", async () => {
  await ticks(16, { aws: 2, azure: 2 });
  const [deletedOnAws, deletedOnAzure] = [runningIds()[0], runningIds()[2]];
  await aws.release([deletedOnAws ?? ""]);
  await azure.provider.release([deletedOnAzure ?? ""]);
  await ticks(2 * TICKS_PER_MINUTE, { aws: 2, azure: 2 });
  const open = await ledger.listOpen();
  const ids = open.map(({ node }) => node.providerNodeId);
  expect(ids).not.toContain(deletedOnAws);
  expect(ids).not.toContain(deletedOnAzure);
  await ticks(TICKS_PER_MINUTE, { aws: 2, azure: 2 });
  expect(await healthyIds("aws")).toHaveLength(2);
  expect(await healthyIds("azure")).toHaveLength(2);
  expect(runningIds()).toHaveLength(4);
});
