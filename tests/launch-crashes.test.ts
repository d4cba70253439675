/** Processes that die between the intent of a launch and its call: each cloud by its real SDK. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { countingIds, createRng, DEFAULT_POOL_POLICY, type Offer } from "../core/index.ts";
import { PoolController } from "../pool/index.ts";
import { memoryLedger, type MemoryLedger } from "../pool/test-pool.ts";
import { createAwsProvider } from "../providers/aws/provider.ts";
import { openAzureBench } from "../providers/azure/test-bench.ts";
import { startEc2Emulator } from "../providers/emulators/ec2/index.ts";
import { createManualClock, type ManualClock } from "../providers/fake/index.ts";
import { openGcpBench } from "../providers/gcp/test-bench.ts";
import type { Provider } from "../providers/index.ts";

const TICK_MS = 5_000;
const REGIONS: readonly string[] = ["us-east-1", "us-central1", "eastus"];

/** One cloud: its real adapter and SDK over its emulator. */
interface Bench {
  readonly clock: ManualClock;
  readonly provider: Provider;
  /** Offers that will do for one line, best first. */
  readonly offers: (all: readonly Offer[]) => readonly Offer[];
  /** Calls that launch machines and took effect. */
  readonly launchCount: () => number;
  /** How many of them so many machines take. */
  readonly launchCountOf: (machineCount: number) => number;
  readonly passingTime: <T>(work: Promise<T>) => Promise<T>;
  readonly close: () => Promise<void>;
}

interface Call {
  readonly action: string;
  readonly applied: boolean;
}

function launchesIn(journal: readonly Call[], actions: readonly string[]): number {
  return journal.filter(({ action, applied }) => applied && actions.includes(action)).length;
}

async function onAws(): Promise<Bench> {
  const clock = createManualClock(1_800_000_000_000);
  const emulator = await startEc2Emulator({ clock, seed: "crash", settings: { bootMs: 20_000 } });
  const provider = await createAwsProvider({
    regions: ["us-east-1"],
    clusterId: "cluster-1",
    clock,
    endpoint: emulator.endpoint,
    credentials: { accessKeyId: "AKIAFAKE", secretAccessKey: "fake" },
    emulated: true,
    rng: createRng(1),
    limitOf: () => ({ burst: 10_000, perSecond: 10_000 }),
  });
  return {
    clock,
    provider,
    offers: (all) => all.filter(({ instanceType }) => /^g4dn\.2?xlarge$/.test(instanceType)),
    launchCount: () => launchesIn(emulator.journal(), ["CreateFleet", "RunInstances"]),
    launchCountOf: () => 1,
    passingTime: (work) => work,
    close: async () => {
      await provider.close();
      await emulator.close();
    },
  };
}

async function onGcp(): Promise<Bench> {
  const bench = await openGcpBench();
  const actions = ["instances.insert", "instances.bulkInsert"];
  return {
    ...bench,
    offers: (all) => all.filter(({ instanceType }) => instanceType === "g2-standard-8"),
    launchCount: () => launchesIn(bench.emulator.journal(), actions),
    launchCountOf: () => 1,
  };
}

async function onAzure(): Promise<Bench> {
  const bench = await openAzureBench();
  return {
    ...bench,
    offers: (all) => all.filter(({ instanceType }) => instanceType === "Standard_NC4as_T4_v3"),
    launchCount: () => launchesIn(bench.emulator.journal(), ["VirtualMachines.CreateOrUpdate"]),
    launchCountOf: (machineCount) => machineCount,
    passingTime: (work) => work,
  };
}

/** The end of a process. */
class Death extends Error {
  override readonly name = "Death";
}

let bench: Bench;
let offers: readonly Offer[];
let ledger: MemoryLedger;
let ids: ReturnType<typeof countingIds>;

/** A process that knows nothing but the ledger; a mortal one dies when it would rent. */
function newProcess(isMortal: boolean): PoolController {
  const { provider, clock } = bench;
  const { cloud } = provider;
  const mortal: Provider = {
    cloud,
    listOffers: () => provider.listOffers(),
    listNodes: () => provider.listNodes(),
    interruptions: () => provider.interruptions(),
    release: (providerNodeIds) => provider.release(providerNodeIds),
    close: () => provider.close(),
    rent: () => Promise.reject(new Death("before the call")),
  };
  return new PoolController({
    providers: new Map([[cloud, isMortal ? mortal : provider]]),
    ledger,
    clock,
    ids,
    policy: DEFAULT_POOL_POLICY,
    clusterId: "cluster-1",
    userDataFor: ({ clientToken }) => `#cloud-config\n# ${clientToken}\n`,
    onEvent: () => undefined,
  });
}

async function tick(pool: PoolController, count: number): Promise<void> {
  const { clock, passingTime } = bench;
  const line = { offerId: offers[0]?.offerId ?? "", count, reason: "demand" };
  const facts = { offers, containers: [], agents: new Map(), emptySinceMs: new Map() };
  await passingTime(pool.tick([line], facts));
  await clock.advance(TICK_MS);
}

describe.each([
  { name: "AWS", open: onAws },
  { name: "Google Cloud", open: onGcp },
  { name: "Azure", open: onAzure },
])("on $name", ({ open }) => {
  beforeEach(async () => {
    bench = await open();
    const onDemand = (await bench.provider.listOffers()).filter(
      ({ purchase, region }) => purchase === "on-demand" && REGIONS.includes(region),
    );
    offers = bench.offers(onDemand).slice(0, 2);
    ledger = memoryLedger();
    ids = countingIds();
  });
  afterEach(() => bench.close());

  test.each([1, 3])(
    "S1: crashes after the intent for %i and before the call lead to one machine a node, by the same token",
    async (count) => {
      expect(offers).toHaveLength(2);
      // The process dies again and again before the launch that its predecessors intended.
      for (let life = 0; life < 3; life += 1) {
        await expect(tick(newProcess(true), count)).rejects.toThrow(Death);
      }
      const intended = await ledger.listOpen();
      expect(intended.map(({ node }) => node.state)).toEqual(Array(count).fill("requested"));
      expect(bench.launchCount()).toBe(0);

      const survivor = newProcess(false);
      for (let done = 0; done < 4; done += 1) await tick(survivor, count);
      const machines = await bench.provider.listNodes();
      const open = await ledger.listOpen();
      expect(open.map(({ node }) => node.nodeId)).toEqual(intended.map(({ node }) => node.nodeId));
      expect(open.map(({ node }) => node.providerNodeId).sort()).toEqual(
        machines.map(({ providerNodeId }) => providerNodeId).sort(),
      );
      expect(new Set(machines.map(({ clientToken }) => clientToken))).toEqual(
        new Set(intended.map(({ clientToken }) => clientToken)),
      );
      expect(machines).toHaveLength(count);
      expect(bench.launchCount()).toBe(bench.launchCountOf(count));
      expect(ledger.all()).toHaveLength(count);
    },
  );
});
