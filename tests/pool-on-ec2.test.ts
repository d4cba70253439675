/** The pool over the real AWS SDK and an emulated EC2, on virtual time. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { countingIds, createRng, DEFAULT_POOL_POLICY, type Offer } from "../core/index.ts";
import {
  PoolController,
  type AgentSighting,
  type DesiredLine,
  type PoolEvent,
} from "../pool/index.ts";
import { memoryLedger, type MemoryLedger } from "../pool/test-pool.ts";
import { createAwsProvider } from "../providers/aws/provider.ts";
import {
  startEc2Emulator,
  type Ec2Emulator,
  type Fault,
} from "../providers/emulators/ec2/index.ts";
import { createManualClock, type ManualClock } from "../providers/fake/index.ts";
import type { Provider } from "../providers/index.ts";

const CLUSTER = "cluster-1";
const BOOT_MS = 20_000;
/** The SDK tries a call this often. */
const TRIES = 3;

let clock: ManualClock;
let emulator: Ec2Emulator;
let provider: Provider;
let pool: PoolController;
let ledger: MemoryLedger;
let events: PoolEvent[];
let h100: Offer;
/** Whether agents are not heard. */
let isDeaf: boolean;
/** Whether every node has been empty for long. */
let isIdle: boolean;
const ids = countingIds();

beforeEach(async () => {
  clock = createManualClock(1_800_000_000_000);
  emulator = await startEc2Emulator({ clock, seed: "pool", settings: { bootMs: BOOT_MS } });
  provider = await createAwsProvider({
    regions: ["us-east-1", "us-west-2"],
    clusterId: CLUSTER,
    clock,
    endpoint: emulator.endpoint,
    credentials: { accessKeyId: "AKIAFAKE", secretAccessKey: "fake" },
    emulated: true,
    bootMs: BOOT_MS,
    rng: createRng(1),
    limitOf: () => ({ burst: 10_000, perSecond: 10_000 }),
  });
  ledger = memoryLedger();
  events = [];
  [isDeaf, isIdle] = [false, false];
  pool = newLife();
  const offers = await provider.listOffers();
  h100 = offers.find(({ offerId }) => offerId === "aws/us-east-1/*/p5.48xlarge/on-demand")!;
});
afterEach(async () => {
  await provider.close();
  await emulator.close();
});

/** A controller that knows nothing but the ledger, as after a crash. */
function newLife(): PoolController {
  return new PoolController({
    providers: new Map([["aws", provider]]),
    ledger,
    clock,
    ids,
    policy: DEFAULT_POOL_POLICY,
    clusterId: CLUSTER,
    userDataFor: ({ clientToken }) => `#cloud-config\n# ${clientToken}\n`,
    onEvent: (event) => events.push(event),
  });
}

/** Machines are given up when no plan wanted them for so long, and are then released. */
const LEAVING_TICKS = Math.ceil(DEFAULT_POOL_POLICY.idleReleaseMs / 5_000) + 6;

const open = () => ledger.all().filter(({ node }) => node.state !== "terminated");
const live = () =>
  emulator.instances().filter(({ state }) => state === "pending" || state === "running");
const line = (offer: Offer, count: number): DesiredLine => ({
  offerId: offer.offerId,
  count,
  reason: "demand",
  standIns: { purchases: ["on-demand"] },
});
const strike = (action: string, fault: Partial<Fault>) =>
  emulator.injectFault({ action, when: "before", effect: { kind: "reset" }, ...fault });

/** One tick with the agents of running machines connected, then five seconds. */
async function tick(...lines: readonly DesiredLine[]): Promise<void> {
  const running = new Set(
    live()
      .filter(({ state }) => state === "running")
      .map(idOf),
  );
  const agents = new Map<string, AgentSighting>();
  for (const { node } of isDeaf ? [] : open()) {
    if (!running.has(node.providerNodeId ?? "")) continue;
    agents.set(node.nodeId, { lastHeardAtMs: clock.nowMs() });
  }
  const offers = await provider.listOffers();
  const emptySinceMs = new Map(isIdle ? open().map(({ node }) => [node.nodeId, 0]) : []);
  await pool.tick(lines, { offers, containers: [], agents, emptySinceMs });
  await clock.advance(5_000);
}
async function ticks(count: number, ...lines: readonly DesiredLine[]): Promise<void> {
  for (let done = 0; done < count; done += 1) await tick(...lines);
}
const idOf = ({ region, instanceId }: { region: string; instanceId: string }) =>
  `${region}/${instanceId}`;

/** Every living machine has one open record, and every open record a living machine. */
function expectMatched(count: number): void {
  const owned = open().map(({ node }) => node.providerNodeId);
  expect(owned.toSorted()).toEqual(live().map(idOf).sort());
  expect(owned).toHaveLength(count);
}

test("a batch is rented by one fleet and joins node by node", async () => {
  await ticks(8, line(h100, 20));
  expectMatched(20);
  expect(open().every(({ node }) => node.state === "healthy")).toBe(true);
  expect(emulator.journal().filter(({ action }) => action === "CreateFleet")).toHaveLength(1);
});

test("S2, S3: a lost reply and a crash lead to one machine a node", async () => {
  emulator.configure({ visibilityMs: 30_000 });
  strike("CreateFleet", { when: "after", times: TRIES });
  await tick(line(h100, 6));
  expect(live()).toHaveLength(6);
  expect(open().every(({ node }) => node.providerNodeId === undefined)).toBe(true);
  pool = newLife();
  await ticks(12, line(h100, 6));
  expectMatched(6);
  expect(ledger.all()).toHaveLength(6);
});

test("S5, S10: what one type does not give comes of another, in the same tick", async () => {
  emulator.setCapacity({ instanceType: "p5.48xlarge", region: "us-east-1", instanceCountMax: 3 });
  await tick(line(h100, 8));
  expect(live()).toHaveLength(8);
  expect(pool.refusals.map(({ key }) => key)).toContain(`offer ${h100.offerId}`);
  await ticks(8, line(h100, 8));
  expectMatched(8);
  const [stood] = open().filter(({ node }) => node.offerId !== h100.offerId);
  const { gpuType, priceMicroUsdPerHour = 0 } = stood?.node ?? {};
  expect(gpuType).toBe("H100");
  expect(priceMicroUsdPerHour).toBeLessThanOrEqual(h100.priceMicroUsdPerHour * 1.5);
});

test("S10: a region without any is left for the next in the same tick", async () => {
  emulator.setCapacity({ region: "us-east-1", instanceCountMax: 0 });
  await tick(line(h100, 4));
  expect(live().map(({ region }) => region)).toEqual(Array(4).fill("us-west-2"));
});

test("S12: a quota blocks its region and family, and no other region", async () => {
  emulator.setQuota({ quotaGroup: "aws/us-east-1/P/on-demand", vcpuCountMax: 192 });
  await ticks(8, line(h100, 3));
  expectMatched(3);
  expect(
    live()
      .map(({ region }) => region)
      .sort(),
  ).toEqual(["us-east-1", "us-west-2", "us-west-2"]);
});

test("S6: machines that listings show late and now and then are kept and not rented again", async () => {
  emulator.configure({ visibilityMs: 20_000, flickerMs: 60_000, flickerFraction: 0.4 });
  await ticks(24, line(h100, 5));
  expectMatched(5);
  expect(ledger.all()).toHaveLength(5);
});

test("S7: machines that die while they boot are replaced by another offer's", async () => {
  const reasonCode = "Server.InsufficientInstanceCapacity";
  emulator.setFate({ instanceType: "p5.48xlarge", fate: "dies-at-boot", reasonCode, times: 2 });
  await ticks(16, line(h100, 3));
  expectMatched(3);
  expect(ledger.all()).toHaveLength(5);
});

test("S16: a listing of which a later page fails, or a proxy's page, ends nothing", async () => {
  await ticks(8, line(h100, 4));
  const page = { kind: "body", status: 200, contentType: "text/html", body: "<p>Hi</p>" } as const;
  isDeaf = true;
  for (const effect of [page, { kind: "error", code: "AuthFailure", status: 401 }] as const) {
    strike("DescribeInstances", { effect, times: 10 });
    await ticks(2, line(h100, 4));
  }
  isDeaf = false;
  emulator.clearFaults();
  await ticks(3, line(h100, 4));
  expectMatched(4);
  expect(ledger.all()).toHaveLength(4);
});

test("S17: an hour without the API ends no node and rents none", async () => {
  await ticks(8, line(h100, 4));
  const effect = { kind: "error", code: "UnauthorizedOperation", status: 403 } as const;
  strike("DescribeInstances", { effect, times: 1e6 });
  await ticks(720, line(h100, 6));
  emulator.clearFaults();
  expect(live()).toHaveLength(4);
  expect(open().every(({ node }) => node.state === "healthy")).toBe(true);
  await ticks(8, line(h100, 6));
  expectMatched(6);
});

test("S18: machines of ours that no record owns are given back, a stranger's never", async () => {
  const rent = (clientToken: string, tags: Record<string, string>) =>
    provider.rent({ offers: [h100], nodeIds: ["no_a", "no_b"], clientToken, userData: "", tags });
  await rent("rent-lost", { "flotilla:cluster": CLUSTER });
  const stranger = await createAwsProvider({
    regions: ["us-east-1"],
    clusterId: "cluster-2",
    clock,
    endpoint: emulator.endpoint,
    credentials: { accessKeyId: "AKIAFAKE", secretAccessKey: "fake" },
  });
  const foreign = { offers: [h100], nodeIds: ["no_z"], clientToken: "z", userData: "", tags: {} };
  await stranger.rent(foreign);
  await stranger.close();
  await ticks(30);
  expect(live().map(({ tags }) => tags["flotilla:cluster"])).toEqual(["cluster-2"]);
});

test("S23: a release that EC2 forgets is sent again until the machine is gone", async () => {
  await ticks(8, line(h100, 2));
  const effect = { kind: "error", code: "InternalError", status: 500 } as const;
  strike("TerminateInstances", { effect, times: 2 * TRIES });
  isDeaf = true;
  await ticks(30);
  expect(live()).toEqual([]);
  expect(open()).toEqual([]);
});

test("waves of API errors, one after the other, lead to the fleet that was planned, and no other", async () => {
  for (let wave = 1; wave <= 20; wave += 1) {
    for (const action of ["CreateFleet", "CreateLaunchTemplate", "RunInstances"]) {
      for (const when of ["before", "after"] as const) {
        const effect = { kind: "error", code: "InternalError", status: 500 } as const;
        emulator.injectFault({ action, when, effect, fraction: 0.2 });
      }
    }
    const count = 1 + (wave % 7);
    await ticks(20, line(h100, count));
    emulator.clearFaults();
    await ticks(14, line(h100, count));
    expectMatched(count);
    isIdle = true;
    await ticks(LEAVING_TICKS);
    isIdle = false;
    expect(live()).toEqual([]);
    expect(open()).toEqual([]);
  }
});
