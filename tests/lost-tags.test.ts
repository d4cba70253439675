/**
 * Machines whose tags come late or are taken away, on each cloud by its real SDK.
 *
 * Tags are given with the launch itself, so no write of them can fail alone: on Google Cloud and
 * Azure they are a part of the machine from its first moment, and EC2 launches nothing that it
 * cannot tag. What remains is that EC2 shows an instance before its tags, and that somebody else
 * writes them.
 */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { countingIds, DEFAULT_POOL_POLICY, type Offer } from "../core/index.ts";
import { PoolController, type AgentSighting, type PoolEvent } from "../pool/index.ts";
import { memoryLedger, type MemoryLedger } from "../pool/test-pool.ts";
import type { Ec2Emulator } from "../providers/emulators/ec2/index.ts";
import { CLOUDS, CLUSTER, openAwsCloud, type CloudBench } from "./support/clouds.ts";

const TICK_MS = 5_000;
const TICKS_PER_MINUTE = 12;

let bench: CloudBench;
let offers: readonly Offer[];
let ledger: MemoryLedger;
let ids: ReturnType<typeof countingIds>;
let events: PoolEvent[];
let pool: PoolController;

async function begin(opened: CloudBench): Promise<void> {
  bench = opened;
  offers = await bench.offers();
  ledger = memoryLedger();
  ids = countingIds();
  events = [];
  pool = newProcess();
}

function newProcess(): PoolController {
  const { provider, clock } = bench;
  return new PoolController({
    providers: new Map([[provider.cloud, provider]]),
    ledger,
    clock,
    ids,
    policy: DEFAULT_POOL_POLICY,
    clusterId: CLUSTER,
    userDataFor: () => "#cloud-config\n",
    onEvent: (event) => events.push(event),
  });
}

/** Ticks with the agents of running machines talking, and every node empty for long. */
async function ticks(tickCount: number, wanted: number, areHeard = true): Promise<void> {
  const { clock, passingTime, runningIds } = bench;
  const line = { offerId: offers[0]?.offerId ?? "", count: wanted, reason: "demand" };
  for (let done = 0; done < tickCount; done += 1) {
    const running = new Set(areHeard ? runningIds() : []);
    const open = await ledger.listOpen();
    const heard: AgentSighting = { lastHeardAtMs: clock.nowMs() };
    const agents = new Map(
      open
        .filter(({ node }) => running.has(node.providerNodeId ?? ""))
        .map(({ node }) => [node.nodeId, heard] as const),
    );
    const emptySinceMs = new Map(open.map(({ node }) => [node.nodeId, 0]));
    const facts = { offers, containers: [], agents, emptySinceMs };
    await passingTime(pool.tick([line], facts));
    await clock.advance(TICK_MS);
  }
}

const told = (kind: PoolEvent["kind"]): readonly PoolEvent[] =>
  events.filter((event) => event.kind === kind);

describe("S22: machines that EC2 shows before their tags", () => {
  let ec2: Ec2Emulator;
  beforeEach(async () => {
    const cloud = await openAwsCloud();
    ec2 = cloud.emulator;
    await begin(cloud);
  });
  afterEach(() => bench.close());

  test("are kept and rented once, when their rent was answered", async () => {
    ec2.configure({ tagVisibilityMs: 50_000 });
    await ticks(2 * TICKS_PER_MINUTE, 3);
    expect(bench.runningIds()).toHaveLength(3);
    expect(ledger.all()).toHaveLength(3);
    expect(told("unlisted")).toEqual([]);
  });

  test("are adopted by the token of their batch, when the answer and the process were lost", async () => {
    ec2.configure({ tagVisibilityMs: 120_000 });
    const effect = { kind: "reset" } as const;
    ec2.injectFault({ action: "CreateFleet", when: "after", times: 3, effect });
    await ticks(1, 3);
    expect(ec2.instances()).toHaveLength(3);
    pool = newProcess();
    await ticks(4 * TICKS_PER_MINUTE, 3);
    expect(ec2.instances()).toHaveLength(3);
    const owned = (await ledger.listOpen()).map(({ node }) => node.providerNodeId);
    expect(owned.sort()).toEqual([...bench.runningIds()].sort());
  });

  test("are released by the sweep once they can be told to be ours, when no record owns them", async () => {
    ec2.configure({ tagVisibilityMs: 180_000 });
    await bench.provider.rent({
      offers,
      nodeIds: ["no_a", "no_b"],
      clientToken: "lost",
      userData: "",
      tags: {},
    });
    await ticks(3 * TICKS_PER_MINUTE, 0);
    expect(bench.runningIds()).toHaveLength(2);
    await ticks(TICKS_PER_MINUTE, 0);
    expect(bench.runningIds()).toEqual([]);
    expect(told("orphan_released")).toHaveLength(2);
  });
});

describe.each(CLOUDS)("S22: on $name a machine whose tag somebody takes", ({ name, open }) => {
  /** Azure tells by the parts of such a machine that it was ours, so it is given back at once. */
  const isGivenBack = name === "Azure";
  beforeEach(async () => begin(await open()));
  afterEach(() => bench.close());

  test("serves on and is told of once, or is replaced once", async () => {
    await ticks(2 * TICKS_PER_MINUTE, 2);
    const [taken = ""] = bench.runningIds();
    await bench.takeTag(taken);
    await ticks(4 * TICKS_PER_MINUTE, 2);
    expect(bench.runningIds()).toHaveLength(2);
    expect(bench.runningIds().includes(taken)).toBe(!isGivenBack);
    expect(ledger.all()).toHaveLength(isGivenBack ? 3 : 2);
    const ofTaken = { node: { providerNodeId: taken } };
    expect(told("unlisted")).toMatchObject(isGivenBack ? [] : [ofTaken]);
  });

  test("is gone when its node is released, and the node is open until then", async () => {
    await ticks(2 * TICKS_PER_MINUTE, 1);
    const [taken = ""] = bench.runningIds();
    await bench.takeTag(taken);
    while (bench.runningIds().length > 0) {
      expect(await ledger.listOpen()).toHaveLength(1);
      await ticks(1, 0);
    }
    await ticks(3 * TICKS_PER_MINUTE, 0);
    expect(await ledger.listOpen()).toEqual([]);
  });
});
